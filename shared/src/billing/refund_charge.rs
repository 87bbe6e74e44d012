//! A refund that the merchant asks for: decided and written here, carried out by [`super::refund`], which is due at once.

use jiff::Timestamp;

use super::Billing;
use super::command::{Change, CommandError, CommandRequest, Done};
use crate::store::StoreError;
use crate::subscription::{Charge, InvalidField, Reason, Refused, Subscription, Won};

/// What is to go back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefundRequest {
    /// The period that was paid for.
    pub period: u32,
    /// Which attempt at it.
    pub attempt: u32,
    /// How much; all that can go back where there is none.
    pub amount: Option<Won>,
    /// Why, for the record and for I'mport: at most 200 characters.
    pub reason: String,
}

/// A refund that wasn't begun.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RefundError {
    /// As with any command.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// A field can't be as it is.
    #[error(transparent)]
    Invalid(#[from] InvalidField),
    /// There is no such charge.
    #[error("the subscription has no such charge")]
    UnknownCharge,
}

impl From<StoreError> for RefundError {
    fn from(error: StoreError) -> Self {
        Self::Command(error.into())
    }
}

impl Billing {
    /// Decides a refund: at most what stands of the payment, and one at a time.
    pub async fn refund_charge(
        &self,
        refund: &RefundRequest,
        request: CommandRequest<'_>,
    ) -> Result<Done, RefundError> {
        let length = refund.reason.chars().count();
        if length > 200 || refund.reason.chars().any(char::is_control) {
            return Err(InvalidField::new("reason", "at most 200 characters, without control characters").into());
        }
        let shown = self.store.charge_of(request.subscription, refund.period, refund.attempt).await?;
        let Some(shown) = shown else {
            return match self.store.subscription(request.subscription).await? {
                Some(_) => Err(RefundError::UnknownCharge),
                None => Err(CommandError::Unknown.into()),
            };
        };
        // Told apart from a state that doesn't allow it: no payment was ever as much.
        if refund.amount.is_some_and(|amount| amount == Won::ZERO || amount > shown.amount) {
            let rule = format!("a whole number of won from 1 to {}, what was paid", shown.amount.get());
            return Err(InvalidField::new("amount", rule).into());
        }
        Ok(self.change(&Change::Refund(refund), request).await?)
    }

    pub(super) async fn decide_refund(
        &self,
        refund: &RefundRequest,
        seen: &Subscription,
        now: Timestamp,
    ) -> Result<(Charge, Charge), CommandError> {
        seen.beyond_doubt()?;
        let was = self.store.charge_of(seen.id, refund.period, refund.attempt).await?;
        let Some(was) = was else { return Err(CommandError::Unknown) };
        if was.refund.is_some() {
            let detail = "a refund of this payment is under way. Try again once it is settled";
            return Err(refused(Reason::RefundUnderWay, detail));
        }
        let most = was.refundable();
        let amount = refund.amount.unwrap_or(most);
        if amount == Won::ZERO || amount > most {
            let detail = format!("at most {} won of this charge can go back", most.get());
            return Err(refused(Reason::NothingToRefund, &detail));
        }
        let mut is = was.clone();
        is.give_back(amount, &refund.reason, now);
        Ok((was, is))
    }
}

fn refused(reason: Reason, detail: &str) -> CommandError {
    CommandError::Refused(Refused { reason, detail: detail.to_owned() })
}
