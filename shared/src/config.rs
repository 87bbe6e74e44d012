//! What a function reads from its environment: the [variables], each listed once.

pub mod variables;

use std::str::FromStr;
use std::sync::Arc;

use crate::aws::{Aws, MissingVariable};
use crate::billing::Billing;
use crate::clock::{Clock, SystemClock};
use crate::iamport::{Credentials, Https, Iamport, NoVault, PRODUCTION_URL, Vault};
use crate::ids::Ids;
use crate::link::Links;
use crate::rotating::Rotating;
use crate::secret::Secret;
use crate::site::{Channel, SDK_URL, Site};
use crate::store::Store;
use crate::subscription::policy::LEAST_AMOUNT;
use crate::subscription::{AfterDunning, ChargeWindow, DeclineRules, DunningPolicy, MissedPeriods, Policy};
use variables::Variable;

/// A variable that can't be as it is.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It isn't set.
    #[error(transparent)]
    Missing(#[from] MissingVariable),
    /// It doesn't read as what it should be.
    #[error("the environment variable {name} is {value:?}: it must be {rule}")]
    Invalid {
        /// Its name.
        name: &'static str,
        /// What it is.
        value: String,
        /// What it can be.
        rule: &'static str,
    },
}

fn var(variable: Variable) -> Option<String> {
    std::env::var(variable.name).ok().filter(|value| !value.trim().is_empty())
}

/// A variable that must be there.
pub fn needed(variable: Variable) -> Result<String, ConfigError> {
    var(variable).ok_or(ConfigError::Missing(MissingVariable(variable.name)))
}

fn read<T>(
    variable: Variable,
    rule: &'static str,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<Option<T>, ConfigError> {
    let Some(value) = var(variable) else { return Ok(None) };
    match parse(&value) {
        Some(parsed) => Ok(Some(parsed)),
        None => Err(ConfigError::Invalid { name: variable.name, value, rule }),
    }
}

/// A secret that may be there. Its value is in no error.
fn secret<T>(
    variable: Variable,
    rule: &'static str,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<Option<T>, ConfigError> {
    let Some(value) = var(variable) else { return Ok(None) };
    match parse(&value) {
        Some(parsed) => Ok(Some(parsed)),
        None => Err(ConfigError::Invalid { name: variable.name, value: "(not shown)".to_owned(), rule }),
    }
}

/// The stack's policy: `CHARGE_WINDOW` (`09:00-21:00`), `DUNNING_DAYS` (`1,3,5,7`), `AFTER_DUNNING` (`cancel` or
/// `leave_unpaid`), `MISSED_PERIODS` (`skip` or `charge_each`), `HARD_DECLINES` (fragments, one per `|`), `DELETE_KEYS` (`true` or
/// `false`: whether a billing key is deleted once its subscription ended for good).
pub fn policy() -> Result<Policy, ConfigError> {
    let window = read(variables::CHARGE_WINDOW, "two times of a day, such as 09:00-21:00", |value| {
        let (open, close) = value.split_once('-')?;
        ChargeWindow::new(open.trim().parse().ok()?, close.trim().parse().ok()?)
    })?;
    let retry_days = read(variables::DUNNING_DAYS, "ascending days, such as 1,3,5,7", |value| {
        value.split(',').map(|day| u16::from_str(day.trim()).ok()).collect::<Option<Vec<_>>>()
    })?;
    let then = read(variables::AFTER_DUNNING, "cancel or leave_unpaid", |value| match value {
        "cancel" => Some(AfterDunning::Cancel),
        "leave_unpaid" => Some(AfterDunning::LeaveUnpaid),
        _ => None,
    })?;
    let missed = read(variables::MISSED_PERIODS, "skip or charge_each", |value| match value {
        "skip" => Some(MissedPeriods::Skip),
        "charge_each" => Some(MissedPeriods::ChargeEach),
        _ => None,
    })?;
    let delete_keys = read(variables::DELETE_KEYS, "true or false", |value| value.parse().ok())?;
    let standard = DunningPolicy::default();
    let dunning =
        DunningPolicy { retry_days: retry_days.unwrap_or(standard.retry_days), then: then.unwrap_or(standard.then) };
    if let Some(rule) = dunning.problem() {
        return Err(ConfigError::Invalid {
            name: variables::DUNNING_DAYS.name,
            value: format!("{:?}", dunning.retry_days),
            rule,
        });
    }
    let declines =
        var(variables::HARD_DECLINES).map(|list| DeclineRules::new(list.split('|').map(str::to_owned).collect()));
    Ok(Policy {
        charge_window: window.unwrap_or_default(),
        dunning,
        declines: declines.unwrap_or_default(),
        missed: missed.unwrap_or_default(),
        delete_keys: delete_keys.unwrap_or_default(),
        least_amount: LEAST_AMOUNT,
    })
}

/// The site: `PUBLIC_URL`, `IMP_USER_CODE`, `PG` and `PAY_METHOD` or `CHANNEL_KEY` and `PAY_METHOD`, `SESSION_MINUTES`,
/// `MERCHANT_NAME`, `IAMPORT_SDK_URL`.
pub fn site() -> Result<Site, ConfigError> {
    let pay_method = var(variables::PAY_METHOD).unwrap_or_else(|| "trans".to_owned());
    let channel = match (var(variables::CHANNEL_KEY), var(variables::PG)) {
        (Some(channel_key), _) => Channel::Key { channel_key, pay_method },
        (None, Some(pg)) => Channel::Gateway { pg, pay_method },
        (None, None) => Channel::default(),
    };
    let minutes = read(variables::SESSION_MINUTES, "a number of minutes from 5 to 10080", |value| {
        value.parse().ok().filter(|minutes| (5..=10_080).contains(minutes))
    })?;
    Ok(Site {
        public_url: var(variables::PUBLIC_URL).unwrap_or_default().trim_end_matches('/').to_owned(),
        sdk_url: var(variables::IAMPORT_SDK_URL).unwrap_or_else(|| SDK_URL.to_owned()),
        user_code: needed(variables::IMP_USER_CODE)?,
        channel,
        session: jiff::SignedDuration::from_mins(minutes.unwrap_or(60)),
        merchant_name: var(variables::MERCHANT_NAME).unwrap_or_default(),
    })
}

/// What metrics are under in CloudWatch: `METRICS_NAMESPACE`. There are none without it.
pub fn metrics_namespace() -> Option<String> {
    var(variables::METRICS_NAMESPACE)
}

/// The table: `TABLE_NAME`, reached as [`Aws::from_env`] says.
pub fn store() -> Result<Store, ConfigError> {
    Ok(Store::new(Aws::from_env()?.dynamodb(), needed(variables::TABLE_NAME)?))
}

/// A text in the secret that `arn` names, read when it is first needed; on a developer's machine in `text`.
fn rotating(arn: Variable, text: Variable) -> Result<Option<Rotating>, ConfigError> {
    match (var(arn), secret(text, "20 characters at least, from a random generator", Rotating::fixed)?) {
        (Some(arn), _) => Ok(Some(Rotating::of(Aws::from_env()?.secretsmanager(), arn, Arc::new(SystemClock)))),
        (None, fixed) => Ok(fixed),
    }
}

/// The signed links to the buyer's own page: the key is in `LINK_SECRET_ARN`, or `LINK_SECRET`.
pub fn links() -> Result<Links, ConfigError> {
    let key = rotating(variables::LINK_SECRET_ARN, variables::LINK_SECRET)?;
    key.map(Links::new).ok_or(ConfigError::Missing(MissingVariable(variables::LINK_SECRET_ARN.name)))
}

/// The bearer token of the merchant's API, where there is one: in `API_TOKEN_ARN`, or `API_TOKEN`.
pub fn api_token() -> Result<Option<Rotating>, ConfigError> {
    rotating(variables::API_TOKEN_ARN, variables::API_TOKEN)
}

/// How many calls a second an import makes to I'mport at most: `IMPORT_CALLS_PER_SECOND`.
pub fn import_rate() -> Result<u32, ConfigError> {
    let rate = read(variables::IMPORT_CALLS_PER_SECOND, "a number from 1 to 50", |value| {
        value.parse().ok().filter(|calls| (1..=50).contains(calls))
    })?;
    Ok(rate.unwrap_or(5))
}

/// All that a use case needs: the table, I'mport, the policy, the system's clock.
///
/// I'mport is at `IAMPORT_URL`, else where it is. Its credentials are in the secret `IMP_SECRET_ARN`, which is read at
/// the first call; on a developer's machine in `IMP_KEY` and `IMP_SECRET`.
pub fn billing() -> Result<Billing, ConfigError> {
    match var(variables::IMP_SECRET_ARN) {
        Some(arn) => billing_with(Secret::new(Aws::from_env()?.secretsmanager(), arn)),
        None => billing_with(Credentials { key: needed(variables::IMP_KEY)?, secret: needed(variables::IMP_SECRET)? }),
    }
}

/// As [`billing`], for a function that never calls I'mport and has no secret of its.
pub fn billing_without_iamport() -> Result<Billing, ConfigError> {
    billing_with(NoVault)
}

fn billing_with(vault: impl Vault) -> Result<Billing, ConfigError> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let url = var(variables::IAMPORT_URL).unwrap_or_else(|| PRODUCTION_URL.to_owned());
    let iamport = Iamport::new(url, vault, Arc::new(Https::new()), clock.clone());
    Ok(Billing { store: store()?, iamport, clock, policy: policy()?, ids: Ids::random() })
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// Says in the parent's environment what is read there. A process can't safely change its own.
    #[test]
    fn told() {
        let Some(what) = std::env::var_os("TELL") else { return };
        let told = match what.to_str().unwrap_or_default() {
            "policy" => policy().map(|policy| format!("{policy:?}")),
            "site" => site().map(|site| format!("{site:?}")),
            "links" => links().map(|links| format!("{links:?}")),
            "api_token" => api_token().map(|token| format!("{token:?}")),
            "import_rate" => import_rate().map(|rate| rate.to_string()),
            "metrics_namespace" => Ok(format!("{:?}", metrics_namespace())),
            "store" => store().map(|_| "a store".to_owned()),
            "billing" => billing().map(|_| "billing".to_owned()),
            other => panic!("{other}"),
        };
        println!("TOLD {}", told.unwrap_or_else(|error| format!("error: {error}")));
    }

    /// What is read where just these variables are set.
    fn tell(what: &str, variables: &[(&str, &str)]) -> String {
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", "config::tests::told", "--nocapture"]);
        // Else a path says where coverage goes, and more.
        child.env_clear().env("TELL", what).envs(variables.iter().copied());
        let output = String::from_utf8(child.output().unwrap().stdout).unwrap();
        output.lines().find_map(|line| Some(line.split_once("TOLD ")?.1.to_owned())).unwrap_or(output)
    }

    #[test]
    fn a_policy_is_what_is_set_and_else_the_standard() {
        assert_eq!(tell("policy", &[]), format!("{:?}", Policy::default()));
        assert_eq!(tell("policy", &[("CHARGE_WINDOW", " "), ("DUNNING_DAYS", "")]), format!("{:?}", Policy::default()));
        let time = |hour| jiff::civil::time(hour, 0, 0, 0);
        let policy = Policy {
            charge_window: ChargeWindow::new(time(10), time(18)).unwrap(),
            dunning: DunningPolicy { retry_days: vec![2, 4], then: AfterDunning::LeaveUnpaid },
            declines: DeclineRules::new(vec!["해지".to_owned(), "분실".to_owned()]),
            missed: MissedPeriods::ChargeEach,
            delete_keys: true,
            ..Policy::default()
        };
        let set = [
            ("CHARGE_WINDOW", "10:00 - 18:00"),
            ("DUNNING_DAYS", "2, 4"),
            ("AFTER_DUNNING", "leave_unpaid"),
            ("MISSED_PERIODS", "charge_each"),
            ("HARD_DECLINES", "해지|분실"),
            ("DELETE_KEYS", "true"),
        ];
        assert_eq!(tell("policy", &set), format!("{policy:?}"));
        let standard = [("AFTER_DUNNING", "cancel"), ("MISSED_PERIODS", "skip"), ("DELETE_KEYS", "false")];
        assert_eq!(tell("policy", &standard), format!("{:?}", Policy::default()));
    }

    #[test]
    fn what_cannot_be_is_named_with_what_can() {
        for (what, name, value, rule) in [
            ("policy", "CHARGE_WINDOW", "21:00-09:00", "09:00-21:00"),
            ("policy", "DUNNING_DAYS", "1,soon", "1,3,5,7"),
            ("policy", "DUNNING_DAYS", "3,1", "ascending"),
            ("policy", "AFTER_DUNNING", "forgive", "cancel or leave_unpaid"),
            ("policy", "MISSED_PERIODS", "all", "skip or charge_each"),
            ("policy", "DELETE_KEYS", "perhaps", "true or false"),
            ("site", "SESSION_MINUTES", "4", "from 5 to 10080"),
            ("site", "SESSION_MINUTES", "10081", "from 5 to 10080"),
            ("import_rate", "IMPORT_CALLS_PER_SECOND", "0", "from 1 to 50"),
            ("import_rate", "IMPORT_CALLS_PER_SECOND", "51", "from 1 to 50"),
        ] {
            let told = tell(what, &[(name, value), ("IMP_USER_CODE", "imp1")]);
            assert!(told.starts_with("error: ") && told.contains(name) && told.contains(rule), "{name}: {told}");
        }
        assert_eq!(tell("import_rate", &[]), "5");
        assert_eq!(tell("import_rate", &[("IMPORT_CALLS_PER_SECOND", "50")]), "50");
    }

    #[test]
    fn a_secret_is_in_no_error_and_a_short_one_is_none() {
        let told = tell("links", &[("LINK_SECRET", "hunter2")]);
        assert!(told.contains("LINK_SECRET") && !told.contains("hunter2"), "{told}");
        let long = "a text of more than twenty letters";
        assert!(tell("links", &[("LINK_SECRET", long)]).starts_with("Links"));
        assert!(tell("links", &[]).contains("LINK_SECRET_ARN"));
        assert_eq!(tell("api_token", &[]), "None");
        assert_eq!(tell("api_token", &[("API_TOKEN", long)]), "Some(Rotating(fixed))");
        let lambda = [("AWS_REGION", "ap-northeast-2"), ("AWS_ACCESS_KEY_ID", "id"), ("AWS_SECRET_ACCESS_KEY", "key")];
        let named = [&lambda[..], &[("API_TOKEN_ARN", "arn:aws:secretsmanager:1")]].concat();
        assert_eq!(tell("api_token", &named), "Some(Rotating(Secrets Manager))");
        assert!(tell("api_token", &named[1..]).contains("AWS_REGION"));
    }

    #[test]
    fn what_is_needed_is_missed_by_name() {
        let lambda = [("AWS_REGION", "ap-northeast-2"), ("AWS_ACCESS_KEY_ID", "id"), ("AWS_SECRET_ACCESS_KEY", "key")];
        assert!(tell("store", &lambda).contains("TABLE_NAME"));
        assert!(tell("store", &[&lambda[1..], &[("TABLE_NAME", "maedal")]].concat()).contains("AWS_REGION"));
        let stored = [&lambda[..], &[("TABLE_NAME", "maedal")]].concat();
        assert_eq!(tell("store", &stored), "a store");
        assert!(tell("billing", &stored).contains("IMP_KEY"));
        assert_eq!(tell("billing", &[&stored[..], &[("IMP_SECRET_ARN", "arn:1")]].concat()), "billing");
        assert_eq!(tell("billing", &[&stored[..], &[("IMP_KEY", "key"), ("IMP_SECRET", "s")]].concat()), "billing");
        assert!(tell("site", &[("IMP_USER_CODE", "")]).contains("IMP_USER_CODE"));
        assert_eq!(tell("metrics_namespace", &[]), "None");
        assert_eq!(tell("metrics_namespace", &[("METRICS_NAMESPACE", "Maedal/a")]), r#"Some("Maedal/a")"#);
    }

    #[test]
    fn a_channel_key_goes_before_a_gateway_and_chai_is_the_standard() {
        let site = |set: &[(&str, &str)]| tell("site", &[&[("IMP_USER_CODE", "imp1")], set].concat());
        let standard = site(&[("PUBLIC_URL", "https://pay.example/")]);
        assert!(standard.contains(r#"public_url: "https://pay.example","#), "{standard}");
        assert!(standard.contains(&format!("{:?}", Channel::default())) && standard.contains(SDK_URL), "{standard}");
        let both = site(&[("CHANNEL_KEY", "channel-1"), ("PG", "kakaopay"), ("PAY_METHOD", "card")]);
        assert!(both.contains(r#"Key { channel_key: "channel-1", pay_method: "card" }"#), "{both}");
        let gateway = site(&[("PG", "kakaopay")]);
        assert!(gateway.contains(r#"Gateway { pg: "kakaopay", pay_method: "trans" }"#), "{gateway}");
    }
}
