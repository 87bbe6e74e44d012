use crate::merchant::Merchant;

#[test]
fn a_key_can_be_read_and_deleted_once() {
    let mut merchant = Merchant::new();
    assert_eq!(merchant.get("/subscribe/customers/buyer").response()["pg_provider"], "chai");
    assert_eq!(merchant.delete("/subscribe/customers/buyer?reason=x").response()["customer_uid"], "buyer");
    let missing = (1, "요청하신 customer_uid(buyer)로 등록된 정보를 찾을 수 없습니다.");
    assert_eq!(merchant.get("/subscribe/customers/buyer").refusal(), missing);
    assert_eq!(merchant.delete("/subscribe/customers/buyer").refusal(), missing);
    assert_eq!(merchant.again("order", 1000).refusal().0, 1);
}

#[test]
fn a_list_of_keys_is_207_if_some_are_missing_and_empty_if_all_are() {
    let mut merchant = Merchant::new();
    assert_eq!(merchant.get("/subscribe/customers?customer_uid[]=buyer").status, 200);
    let some = merchant.get("/subscribe/customers?customer_uid[]=buyer&customer_uid[]=nobody");
    assert_eq!((some.status, some.body["response"].as_array().unwrap().len()), (207, 1));
    let none = merchant.get("/subscribe/customers?customer_uid[]=nobody");
    assert_eq!(none.response().as_array().unwrap().len(), 0);
}

#[test]
fn the_payments_of_a_key_come_in_pages() {
    let mut merchant = Merchant::new();
    merchant.again("a", 1000);
    merchant.again("b", 1000);
    assert_eq!(merchant.get("/subscribe/customers/buyer/payments").response()["total"], 2);
    assert_eq!(merchant.get("/subscribe/customers/nobody/payments").status, 404);
}

#[test]
fn a_customer_uid_may_hold_any_character() {
    let mut merchant = Merchant::new();
    merchant.simulator.seed_key("홍 길동/+1", merchant.now);
    let answer = merchant.get("/subscribe/customers/%ED%99%8D%20%EA%B8%B8%EB%8F%99%2F%2B1");
    assert_eq!(answer.response()["customer_uid"], "홍 길동/+1");
}
