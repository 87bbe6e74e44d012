//! The simulator's core: a request and a time go in, a reply comes out, and what is due by then happens first. It
//! checks the token, asks the fault plan, and calls the endpoint's own file.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use jiff::{SignedDuration, Timestamp};

use crate::{
    books::Books,
    config::Config,
    console,
    envelope::{Envelope, text_response},
    fault::{Call, Fault},
    fault_plan::FaultPlan,
    ids::Ids,
    incoming::Incoming,
    journal::{Exchange, Journal},
    lookup::Lookup,
    params::Params,
    reply::{Outcome, Reply},
    route::Route,
    spoil::{error_page, spoil},
    token::Token,
    webhook::Outbox,
    window::Window,
};

/// I'mport, CHAI and the time between them. See the crate's documentation.
#[derive(Debug)]
pub struct Simulator {
    pub(crate) config: Config,
    pub(crate) books: Books,
    pub(crate) token: Option<Token>,
    pub(crate) windows: BTreeMap<String, Window>,
    pub(crate) outbox: Outbox,
    pub(crate) faults: FaultPlan,
    pub(crate) ids: Ids,
    /// Set by an early webhook: the answer of the call at hand has to wait.
    pub(crate) hold_answer: SignedDuration,
    journal: Option<Journal>,
    happenings: BTreeMap<(Timestamp, usize), Happening>,
    planned: usize,
}

/// Something that happens by itself.
#[derive(Debug)]
pub(crate) enum Happening {
    /// A payment that failed is paid after all; its `imp_uid`.
    LatePayment(String),
    /// An `again` whose connection was cut is made at last; its parameters.
    Again(Params),
    /// A schedule is due; its `merchant_uid`.
    Schedule(String),
}

impl Simulator {
    /// Empty books, no faults.
    pub fn new(config: Config) -> Self {
        Self {
            books: Books::default(),
            token: None,
            windows: BTreeMap::new(),
            outbox: Outbox::default(),
            // Dice of their own: a fault that is added does not change the ids.
            faults: FaultPlan::new(!config.seed),
            ids: Ids::new(config.seed),
            hold_answer: SignedDuration::ZERO,
            journal: None,
            happenings: BTreeMap::new(),
            planned: 0,
            config,
        }
    }

    /// Answers one request. Its effects, if it has any, are in the books at once.
    pub fn handle(&mut self, request: &Request<Bytes>, now: Timestamp) -> Reply {
        self.tick(now);
        let incoming = match Incoming::read(request) {
            Ok(incoming) => incoming,
            Err(refusal) => return Reply::at_once(refusal.into()),
        };
        let path: Vec<&str> = incoming.path.iter().map(String::as_str).collect();
        let route = Route::of(&incoming.method, &path);
        let Some(call) = route.call() else {
            return Reply::at_once(self.answer(route, &incoming, None, now));
        };
        let about = route.about(&incoming, &self.books, |id| Some(self.windows.get(id)?.imp_uid.clone()));
        let strike = self.faults.strike(call, &about, now);
        self.hold_answer = SignedDuration::ZERO;
        let fault = self.journal.is_some().then(|| strike.fault.clone()).flatten();
        let outcome = self.answer_or_fault(route, &incoming, strike.fault, now);
        if let Some(journal) = &mut self.journal {
            journal.keep(Exchange::new(request, &incoming, call, &about, fault, &outcome, now));
        }
        Reply { delay: strike.delay + self.hold_answer.unsigned_abs(), outcome }
    }

    /// Lets everything happen that is due by now: late payments, late charges, schedules.
    pub fn tick(&mut self, now: Timestamp) {
        while let Some(next) = self.happenings.first_entry().filter(|next| next.key().0 <= now) {
            let ((due, _), happening) = next.remove_entry();
            match happening {
                Happening::LatePayment(imp_uid) => self.pay_late(&imp_uid, due),
                // Nobody hears the answer.
                Happening::Again(params) => drop(self.again(&params, None, due)),
                Happening::Schedule(merchant_uid) => self.run_schedule(&merchant_uid, due),
            }
        }
    }

    /// When something happens next without a request: a late payment or charge, a schedule, a webhook.
    pub fn next_happening(&self) -> Option<Timestamp> {
        let planned = self.happenings.first_key_value().map(|(&(due, _), _)| due);
        planned.into_iter().chain(self.outbox.next_due()).min()
    }

    /// What I'mport knows.
    pub fn books(&self) -> &Books {
        &self.books
    }

    /// Keeps what is asked from now on, and the answers, for [`Simulator::exchanges`].
    pub fn keep_journal(&mut self) {
        self.journal.get_or_insert_default();
    }

    /// The latest calls and their answers, oldest first; none without [`Simulator::keep_journal`].
    pub fn exchanges(&self) -> impl DoubleEndedIterator<Item = &Exchange> {
        self.journal.iter().flat_map(Journal::exchanges)
    }

    /// A number that changes with whatever a person would see: calls, webhooks and their answers, payments, faults.
    pub fn stirrings(&self) -> usize {
        let calls = self.journal.as_ref().map_or(0, |journal| journal.count);
        calls + self.outbox.stirrings() + self.books.payments().len() + self.faults.stirrings()
    }

    /// What goes wrong.
    pub fn faults(&mut self) -> &mut FaultPlan {
        &mut self.faults
    }

    /// How it was set up.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Sends webhooks to another URL from now on.
    pub fn set_webhook_url(&mut self, url: Option<String>) {
        self.config.webhook_url = url;
    }

    fn answer_or_fault(&mut self, route: Route<'_>, call: &Incoming, fault: Option<Fault>, now: Timestamp) -> Outcome {
        match &fault {
            Some(Fault::CutBeforeEffect) => return Outcome::Cut,
            Some(Fault::CutThenEffect(after)) => {
                if self.check_token(call, now).is_ok() {
                    self.plan(now + *after, Happening::Again(call.params.clone()));
                }
                return Outcome::Cut;
            }
            Some(Fault::ErrorBeforeEffect(status)) => return Outcome::Answer(error_page(*status)),
            Some(Fault::ExpiredToken) => return Outcome::Answer(Envelope::unauthorized().into()),
            Some(Fault::Refuse { code, message }) => {
                return Outcome::Answer(Envelope::refused(*code, message).into());
            }
            _ => {}
        }
        let answer = self.answer(route, call, fault.as_ref(), now);
        match fault {
            Some(Fault::CutAfterEffect) => Outcome::Cut,
            Some(Fault::ErrorAfterEffect(status)) => Outcome::Answer(error_page(status)),
            Some(Fault::Nonsense(kind)) => Outcome::Answer(spoil(answer, kind)),
            _ => Outcome::Answer(answer),
        }
    }

    fn answer(&mut self, route: Route<'_>, call: &Incoming, fault: Option<&Fault>, now: Timestamp) -> Response<Bytes> {
        match route {
            Route::Sdk => text_response(StatusCode::OK, "text/javascript; charset=UTF-8", include_str!("iamport.js")),
            Route::Front => console::page(self),
            Route::Control(path) => self.control(path, call, now),
            Route::OpenWindow => allow_other_origins(self.open_window(call, now)),
            Route::ShowWindow(id) => self.show_window(id),
            Route::Press(id, button) => self.press(id, button, now),
            Route::Preflight => allow_other_origins(text_response(StatusCode::NO_CONTENT, "text/plain", "")),
            _ => self.answer_rest(route, call, fault, now).unwrap_or_else(|refusal| refusal).into(),
        }
    }

    fn answer_rest(
        &mut self,
        route: Route<'_>,
        call: &Incoming,
        fault: Option<&Fault>,
        now: Timestamp,
    ) -> Result<Envelope, Envelope> {
        if route == Route::Token {
            return self.give_token(call, now);
        }
        self.check_token(call, now)?;
        let params = &call.params;
        if route.call() == Some(Call::Lookup) {
            return Lookup::new(self, params, fault, now).answer(route);
        }
        match route {
            Route::Again => self.again(params, fault, now),
            Route::Cancel => self.cancel(params, fault, now),
            Route::Customer(customer_uid) => self.customer(customer_uid),
            Route::DeleteCustomer(customer_uid) => self.delete_customer(customer_uid),
            Route::Customers => self.customers(params),
            Route::Schedule => self.schedule(params, now),
            Route::Unschedule => self.unschedule(params, now),
            Route::Scheduled(merchant_uid) => self.scheduled(merchant_uid),
            Route::Schedules => self.schedules(params),
            _ => Err(Envelope::failed(StatusCode::NOT_FOUND, "존재하지 않는 API입니다.")),
        }
    }

    pub(crate) fn plan(&mut self, due: Timestamp, happening: Happening) {
        self.happenings.insert((due, self.planned), happening);
        self.planned += 1;
    }
}

/// The SDK opens the window from the merchant's page, which has another origin.
fn allow_other_origins(mut answer: Response<Bytes>) -> Response<Bytes> {
    for (name, value) in [
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (header::ACCESS_CONTROL_ALLOW_METHODS, "POST"),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, "content-type"),
    ] {
        answer.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    answer
}
