//! Every variable of the environment that a function reads. The code reads no other; `template.yaml` and the README's table are
//! compared with this list by tests.

/// A variable of the environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// The functions that read it.
    pub readers: Readers,
    /// Where it is set.
    pub place: Place,
    /// What it is, as the README says it.
    pub meaning: &'static str,
    /// What counts where it isn't set, as the README says it.
    pub default: &'static str,
}

/// Which functions read a variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readers {
    /// Every function, or every function that needs what it is about: the template sets it for all.
    All,
    /// These, and the template sets it for no other.
    Only(&'static [&'static str]),
}

/// Where a variable is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In `template.yaml`.
    Template,
    /// On a developer's machine, or by whoever operates a proxy; never in `template.yaml`.
    Elsewhere,
}

impl Variable {
    /// Whether this function reads it.
    pub fn is_read_by(&self, function: &str) -> bool {
        match self.readers {
            Readers::All => true,
            Readers::Only(functions) => functions.contains(&function),
        }
    }
}

/// The functions that call I'mport.
const CALL_IAMPORT: Readers = Readers::Only(&["charge", "complete", "import", "reconcile", "webhook"]);
/// The functions that sign the links to the buyer's own page, and open them.
const SIGN_LINKS: Readers = Readers::Only(&["checkout", "manage"]);

macro_rules! variables {
    ($($name:ident, $readers:expr, $place:ident, $meaning:literal, $default:literal;)*) => {
        $(
            #[doc = $meaning]
            pub const $name: Variable = Variable {
                name: stringify!($name),
                readers: $readers,
                place: Place::$place,
                meaning: $meaning,
                default: $default,
            };
        )*

        /// All of them, in the order of the README's table.
        pub const ALL: &[Variable] = &[$($name),*];
    };
}

variables! {
    TABLE_NAME, Readers::All, Template, "the DynamoDB table", "needed";
    QUEUE_URL, Readers::Only(&["dispatch", "webhook"]), Template,
        "the SQS FIFO queue between dispatch, webhook and charge", "needed";
    IMPORT_QUEUE_URL, Readers::Only(&["import", "manage"]), Template, "the SQS queue of an import's turns", "needed";
    IMPORT_BUCKET, Readers::Only(&["import"]), Template, "the bucket with the files of an import", "needed";
    IMPORT_FOLDER, Readers::Only(&["import"]), Elsewhere,
        "a folder in place of the bucket, on a developer's machine", "";
    IMPORT_CALLS_PER_SECOND, Readers::Only(&["import"]), Template,
        "calls a second that an import makes to I'mport at most, 1 to 50", "`5`";
    EVENT_BUS_NAME, Readers::Only(&["notify"]), Template, "the EventBridge bus that events go to", "needed";
    IMP_USER_CODE, Readers::All, Template, "the merchant's code for `IMP.init`", "needed by the pages";
    IMP_SECRET_ARN, CALL_IAMPORT, Template,
        "the secret with I'mport's REST key and secret: `{\"imp_key\": \"…\", \"imp_secret\": \"…\"}`", "needed";
    IMP_KEY, CALL_IAMPORT, Elsewhere, "the REST key itself, on a developer's machine", "";
    IMP_SECRET, CALL_IAMPORT, Elsewhere, "the REST secret itself, on a developer's machine", "";
    LINK_SECRET_ARN, SIGN_LINKS, Template,
        "the secret that signs links to the buyer's own page, a plain text", "needed";
    LINK_SECRET, SIGN_LINKS, Elsewhere, "the text itself, on a developer's machine: 20 characters at least", "";
    API_TOKEN_ARN, Readers::Only(&["manage"]), Template,
        "the secret with a bearer token for `/v1`, for callers without IAM", "";
    API_TOKEN, Readers::Only(&["manage"]), Elsewhere,
        "the token itself, on a developer's machine: 20 characters at least", "";
    PG, Readers::All, Template, "the payment window's gateway, as above", "`chai`";
    PAY_METHOD, Readers::All, Template, "the payment window's method, as above", "`trans`";
    CHANNEL_KEY, Readers::All, Template, "the payment window by channel; goes before `PG`", "";
    MERCHANT_NAME, Readers::All, Template, "the name at the head of the buyer's pages", "";
    PUBLIC_URL, Readers::All, Template,
        "where the functions are reached from outside", "the name that a request came to";
    SESSION_MINUTES, Readers::All, Template, "how long a checkout session stays open, 5 to 10080", "`60`";
    CHARGE_WINDOW, Readers::All, Template, "the hours in which money is moved, Korean time", "`09:00-21:00`";
    DUNNING_DAYS, Readers::All, Template, "days after a decline on which to try again", "`1,3,5,7`";
    AFTER_DUNNING, Readers::All, Template, "then: `cancel` or `leave_unpaid`", "`cancel`";
    MISSED_PERIODS, Readers::All, Template, "periods that nobody charged in time: `skip` or `charge_each`", "`skip`";
    HARD_DECLINES, Readers::All, Template, "parts of decline messages that no retry can mend, between `\\|`",
        "[a list](shared/src/subscription/dunning.rs)";
    DELETE_KEYS, Readers::All, Template,
        "whether a billing key is deleted at I'mport when its subscription ends for good", "`false`";
    IAMPORT_URL, Readers::All, Template, "I'mport's REST API", "`https://api.iamport.kr`";
    IAMPORT_SDK_URL, Readers::All, Template, "I'mport's JavaScript SDK", "`https://cdn.iamport.kr/v1/iamport.js`";
    METRICS_NAMESPACE, Readers::All, Template, "what metrics are under in CloudWatch; there are none without it", "";
    RUST_LOG, Readers::All, Template, "what is logged", "`info`";
    SSL_CERT_FILE, Readers::All, Elsewhere, "whom to trust, as PEM: behind a proxy that looks into TLS",
        "Amazon's roots for AWS, Mozilla's for I'mport";
}
