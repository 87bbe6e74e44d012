//! Every path that I'mport and the simulator answer, and which fault and which order a request to it is about.

use http::Method;

use crate::{books::Books, fault::Call, incoming::Incoming, rule::About};

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route<'a> {
    Token,
    Again,
    Payment(&'a str),
    Payments,
    Find(&'a str, Option<&'a str>),
    FindAll(&'a str, Option<&'a str>),
    ByStatus(&'a str),
    Cancel,
    Customer(&'a str),
    DeleteCustomer(&'a str),
    Customers,
    CustomerPayments(&'a str),
    Schedule,
    Unschedule,
    Scheduled(&'a str),
    Schedules,
    OpenWindow,
    ShowWindow(&'a str),
    Press(&'a str, Button),
    Sdk,
    Front,
    Control(&'a [&'a str]),
    /// A browser asks whether a page of another origin may call.
    Preflight,
    Unknown,
}

/// The buttons of the payment window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Button {
    Approve,
    Decline,
    Close,
}

impl<'a> Route<'a> {
    pub(crate) fn of(method: &Method, path: &'a [&'a str]) -> Self {
        match (method.as_str(), path) {
            ("OPTIONS", _) => Self::Preflight,
            ("GET", []) => Self::Front,
            (_, ["_simulator", rest @ ..]) => Self::Control(rest),
            ("GET", ["v1", "iamport.js"]) => Self::Sdk,
            ("GET", ["js", file]) if file.starts_with("iamport.payment-") && file.ends_with(".js") => Self::Sdk,
            ("POST", ["chai", "window"]) => Self::OpenWindow,
            ("GET", ["chai", "window", id]) => Self::ShowWindow(id),
            ("POST", ["chai", "window", id, "approve"]) => Self::Press(id, Button::Approve),
            ("POST", ["chai", "window", id, "decline"]) => Self::Press(id, Button::Decline),
            ("POST", ["chai", "window", id, "close"]) => Self::Press(id, Button::Close),
            ("POST", ["users", "getToken"]) => Self::Token,
            ("POST", ["subscribe", "payments", "again"]) => Self::Again,
            ("POST", ["subscribe", "payments", "schedule"]) => Self::Schedule,
            ("GET", ["subscribe", "payments", "schedule"]) => Self::Schedules,
            ("GET", ["subscribe", "payments", "schedule", merchant_uid]) => Self::Scheduled(merchant_uid),
            ("POST", ["subscribe", "payments", "unschedule"]) => Self::Unschedule,
            ("GET", ["subscribe", "customers"]) => Self::Customers,
            ("GET", ["subscribe", "customers", customer_uid]) => Self::Customer(customer_uid),
            ("DELETE", ["subscribe", "customers", customer_uid]) => Self::DeleteCustomer(customer_uid),
            ("GET", ["subscribe", "customers", customer_uid, "payments"]) => Self::CustomerPayments(customer_uid),
            ("POST", ["payments", "cancel"]) => Self::Cancel,
            ("GET", ["payments"]) => Self::Payments,
            ("GET", ["payments", "find", merchant_uid]) => Self::Find(merchant_uid, None),
            ("GET", ["payments", "find", merchant_uid, status]) => Self::Find(merchant_uid, Some(status)),
            ("GET", ["payments", "findAll", merchant_uid]) => Self::FindAll(merchant_uid, None),
            ("GET", ["payments", "findAll", merchant_uid, status]) => Self::FindAll(merchant_uid, Some(status)),
            ("GET", ["payments", "status", status]) => Self::ByStatus(status),
            ("GET", ["payments", imp_uid]) => Self::Payment(imp_uid),
            _ => Self::Unknown,
        }
    }

    /// The kind of call that a fault can strike; `None` where none can.
    pub(crate) fn call(self) -> Option<Call> {
        match self {
            Self::Token => Some(Call::Token),
            Self::Again => Some(Call::Again),
            Self::Payment(_)
            | Self::Payments
            | Self::Find(..)
            | Self::FindAll(..)
            | Self::ByStatus(_)
            | Self::CustomerPayments(_) => Some(Call::Lookup),
            Self::Cancel => Some(Call::Cancel),
            Self::Customer(_) | Self::DeleteCustomer(_) | Self::Customers => Some(Call::Customer),
            Self::Schedule | Self::Unschedule | Self::Scheduled(_) | Self::Schedules => Some(Call::Schedule),
            Self::OpenWindow | Self::ShowWindow(_) | Self::Press(..) => Some(Call::Window),
            Self::Sdk | Self::Front | Self::Control(_) | Self::Preflight | Self::Unknown => None,
        }
    }

    /// Whom the call is about: from the path, else from the parameters. `imp_uid_of` knows a window's payment.
    pub(crate) fn about(self, call: &Incoming, books: &Books, imp_uid_of: impl Fn(&str) -> Option<String>) -> About {
        let imp_uid = match self {
            Self::Payment(imp_uid) => Some(imp_uid.to_owned()),
            Self::ShowWindow(id) | Self::Press(id, _) => imp_uid_of(id),
            Self::Cancel => call.params.text("imp_uid"),
            _ => None,
        };
        if let Some(payment) = imp_uid.and_then(|imp_uid| books.payment(&imp_uid)) {
            return About::order(&payment.order);
        }
        let (merchant_uid, customer_uid) = match self {
            Self::Find(merchant_uid, _) | Self::FindAll(merchant_uid, _) | Self::Scheduled(merchant_uid) => {
                (Some(merchant_uid), None)
            }
            Self::Customer(customer_uid)
            | Self::DeleteCustomer(customer_uid)
            | Self::CustomerPayments(customer_uid) => (None, Some(customer_uid)),
            _ => (None, None),
        };
        let merchant_uid = merchant_uid.map(str::to_owned).or_else(|| call.params.text("merchant_uid"));
        let customer_uid = customer_uid.map(str::to_owned).or_else(|| call.params.text("customer_uid")).or_else(|| {
            books.payments_of(merchant_uid.as_deref()?).next().map(|known| known.order.customer_uid.clone())
        });
        About { merchant_uid, customer_uid }
    }
}
