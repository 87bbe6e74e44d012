//! Every text that a buyer reads, in both languages. A struct, so that a text missing in one doesn't compile.

/// The texts of one language.
pub(super) struct Words {
    pub(super) other_language: &'static str,

    pub(super) checkout: &'static str,
    pub(super) first_charge: &'static str,
    pub(super) today: &'static str,
    pub(super) after_trial: fn(date: &str, days: u16) -> String,
    pub(super) next_charge: &'static str,
    pub(super) then: fn(date: &str, every: &str) -> String,
    pub(super) cancelling: &'static str,
    pub(super) how_to_cancel: &'static str,
    pub(super) consent: fn(amount: &str, every: &str) -> String,
    pub(super) subscribe: &'static str,
    pub(super) give_up: &'static str,
    pub(super) no_script: &'static str,
    pub(super) no_connection: &'static str,
    pub(super) no_sdk: &'static str,
    pub(super) window_failed: &'static str,
    pub(super) declined: fn(reason: &str) -> String,

    pub(super) confirming: Text,
    pub(super) unavailable: Text,
    pub(super) active: Text,
    pub(super) trialing: Text,
    pub(super) past_due: Text,
    pub(super) paused: Text,
    pub(super) ended: Text,
    pub(super) over: Text,
    pub(super) review: Text,
    pub(super) replace: Text,
    pub(super) replace_button: &'static str,
    pub(super) replace_back: &'static str,
    pub(super) plan: &'static str,
    pub(super) paid: &'static str,
    pub(super) ends: &'static str,
    pub(super) back_to_shop: &'static str,

    pub(super) unknown_session: Text,
    pub(super) not_found: Text,
    pub(super) wrong_method: Text,
    pub(super) too_long: Text,
    pub(super) mismatch: Text,
    pub(super) bad_request: &'static str,
    pub(super) missing: fn(field: &str) -> String,
    pub(super) repeated: fn(field: &str) -> String,
    pub(super) unreadable: fn(field: &str) -> String,
}

/// A heading, and what it means for the reader.
#[derive(Clone, Copy)]
pub(super) struct Text {
    pub(super) heading: &'static str,
    pub(super) meaning: &'static str,
}

const fn text(heading: &'static str, meaning: &'static str) -> Text {
    Text { heading, meaning }
}

pub(super) static KOREAN: Words = Words {
    other_language: "English",

    checkout: "정기결제 신청",
    first_charge: "첫 결제",
    today: "오늘, 결제수단을 등록하는 즉시",
    after_trial: |date, days| format!("{date} ({days}일 무료 체험 후)"),
    next_charge: "다음 결제",
    then: |date, every| format!("{date}, 이후 {every}"),
    cancelling: "해지",
    how_to_cancel: "언제든지 판매자에게 요청하여 해지할 수 있습니다. 해지하면 다음 결제부터 청구되지 않으며, 이미 결제한 기간은 끝까지 이용할 수 있습니다.",
    consent: |amount, every| {
        format!("해지할 때까지 {every} {amount}이 등록한 결제수단에서 자동으로 결제되는 것에 동의합니다.")
    },
    subscribe: "동의하고 결제수단 등록하기",
    give_up: "그만두고 돌아가기",
    no_script: "결제창을 열려면 JavaScript가 필요합니다. 브라우저 설정에서 허용한 뒤 새로고침해 주세요.",
    no_connection: "연결하지 못했습니다. 결제된 것은 없습니다. 인터넷 연결을 확인하고 다시 눌러 주세요.",
    no_sdk: "결제창을 불러오지 못했습니다. 결제된 것은 없습니다. 페이지를 새로고침한 뒤 다시 시도해 주세요.",
    window_failed: "결제수단이 등록되지 않았습니다. 결제된 것은 없습니다. 다시 시도해 주세요.",
    declined: |reason| format!("결제되지 않았습니다: {reason}. 다른 결제수단으로 다시 시도할 수 있습니다."),

    confirming: text(
        "결제를 확인하고 있습니다",
        "결과가 아직 도착하지 않았습니다. 두 번 결제되지 않으니 다시 결제하지 말고 잠시 기다려 주세요. 이 페이지는 저절로 새로고침됩니다.",
    ),
    unavailable: text(
        "지금은 확인할 수 없습니다",
        "잠시 문제가 있지만 사라진 것은 없고, 두 번 결제되지 않습니다. 이 페이지는 저절로 새로고침됩니다.",
    ),
    active: text("구독이 시작되었습니다", "결제가 완료되었습니다."),
    trialing: text("무료 체험이 시작되었습니다", "아직 결제된 금액은 없습니다."),
    past_due: text(
        "이번 결제가 이루어지지 않았습니다",
        "결제수단을 확인해 주세요. 판매자가 정한 일정에 따라 다시 청구됩니다.",
    ),
    paused: text("구독이 일시 중지되었습니다", "중지된 동안에는 결제되지 않습니다."),
    ended: text("구독이 종료되었습니다", "더 이상 결제되지 않습니다."),
    over: text("결제 신청 시간이 지났습니다", "결제된 것은 없습니다. 판매자의 사이트에서 다시 신청해 주세요."),
    review: text(
        "판매자가 확인하고 있습니다",
        "결제 내용을 사람이 확인해야 합니다. 판매자가 연락드릴 때까지 다시 결제하지 마세요.",
    ),
    replace: text(
        "결제수단 변경",
        "새 결제수단을 등록하면 지금까지의 결제수단 대신 사용됩니다. 구독은 그대로 이어집니다.",
    ),
    replace_button: "새 결제수단 등록하기",
    replace_back: "변경하지 않고 돌아가기",
    plan: "상품",
    paid: "결제한 금액",
    ends: "이용 종료",
    back_to_shop: "판매자의 사이트로 돌아가기",

    unknown_session: text("신청을 찾을 수 없습니다", "주소를 확인하거나 판매자의 사이트에서 다시 신청해 주세요."),
    not_found: text("페이지를 찾을 수 없습니다", "주소를 확인해 주세요."),
    wrong_method: text("할 수 없는 요청입니다", "판매자가 안내한 주소를 브라우저에서 열어 주세요."),
    too_long: text("주소가 너무 깁니다", "판매자의 사이트에서 다시 시작해 주세요."),
    mismatch: text("이 결제는 이 신청의 것이 아닙니다", "바뀐 것은 없습니다. 판매자의 사이트에서 다시 시작해 주세요."),
    bad_request: "주소가 올바르지 않습니다",
    missing: |field| format!("{field} 값이 없습니다. 바뀐 것은 없습니다. 판매자의 사이트에서 다시 시작해 주세요."),
    repeated: |field| {
        format!("{field} 값이 두 번 이상 있습니다. 바뀐 것은 없습니다. 판매자의 사이트에서 다시 시작해 주세요.")
    },
    unreadable: |field| {
        format!("{field} 값을 읽을 수 없습니다. 바뀐 것은 없습니다. 판매자의 사이트에서 다시 시작해 주세요.")
    },
};

pub(super) static ENGLISH: Words = Words {
    other_language: "한국어",

    checkout: "Subscribe",
    first_charge: "First charge",
    today: "Today, as soon as your payment method is registered",
    after_trial: |date, days| format!("{date}, after {days} free days"),
    next_charge: "Next charge",
    then: |date, every| format!("{date}, then {every}"),
    cancelling: "Cancelling",
    how_to_cancel: "Ask the seller to cancel at any time. You are not charged again, and keep what you have paid for until its end.",
    consent: |amount, every| {
        format!("I agree that {amount} is charged automatically to my payment method {every} until I cancel.")
    },
    subscribe: "Agree and register a payment method",
    give_up: "Go back without subscribing",
    no_script: "The payment window needs JavaScript. Please allow it in your browser's settings and reload.",
    no_connection: "We could not connect. Nothing was charged. Check your connection and press the button again.",
    no_sdk: "The payment window could not be loaded. Nothing was charged. Reload the page and try again.",
    window_failed: "No payment method was registered. Nothing was charged. You can try again.",
    declined: |reason| format!("The payment was declined: {reason}. You can try again with another payment method."),

    confirming: text(
        "Your payment is being confirmed",
        "The result has not arrived yet. You will not be charged twice: please wait and don't pay again. This page reloads by itself.",
    ),
    unavailable: text(
        "We can't check right now",
        "Something is out of order for a moment. Nothing is lost and you will not be charged twice. This page reloads by itself.",
    ),
    active: text("You are subscribed", "Your payment went through."),
    trialing: text("Your free trial has begun", "Nothing has been charged yet."),
    past_due: text(
        "The latest payment did not go through",
        "Please check your payment method. The seller will try again on its schedule.",
    ),
    paused: text("Your subscription is paused", "Nothing is charged meanwhile."),
    ended: text("Your subscription has ended", "Nothing more is charged."),
    over: text("This checkout is over", "Nothing was charged. Please start again on the seller's site."),
    review: text(
        "The seller is looking into it",
        "A person has to check this payment. Please don't pay again; the seller will get in touch.",
    ),
    replace: text(
        "Change your payment method",
        "A new payment method takes the place of the present one. Your subscription goes on as it is.",
    ),
    replace_button: "Register a new payment method",
    replace_back: "Go back without a change",
    plan: "Plan",
    paid: "Paid",
    ends: "Ends",
    back_to_shop: "Back to the seller's site",

    unknown_session: text("There is no such checkout", "Check the address, or start again on the seller's site."),
    not_found: text("There is no such page", "Please check the address."),
    wrong_method: text("This request can't be made", "Please open the address that the seller gave you in a browser."),
    too_long: text("The address is too long", "Please start again on the seller's site."),
    mismatch: text(
        "This payment does not belong to this checkout",
        "Nothing was changed. Please start again on the seller's site.",
    ),
    bad_request: "The address is not right",
    missing: |field| format!("{field} is missing. Nothing was changed. Please start again on the seller's site."),
    repeated: |field| {
        format!("{field} is there more than once. Nothing was changed. Please start again on the seller's site.")
    },
    unreadable: |field| format!("{field} can't be read. Nothing was changed. Please start again on the seller's site."),
};
