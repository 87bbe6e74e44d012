//! The shapes of the answers: once against the facts written down here, and once against the vendor's own file where
//! `IAMPORT_OPENAPI` names it (the Swagger 2.0 document of PortOne V1; it is not ours to keep here).

use jsonschema::Validator;
use serde_json::{Map, Value, json};
use simulator::{Call, Fault, Rule};

use crate::merchant::Merchant;

/// One answer of each kind, by the name of its shape in the vendor's file.
fn answers() -> Vec<(&'static str, Value)> {
    let mut merchant = Merchant::new();
    let token = json!({"imp_key": "simulated_key", "imp_secret": "simulated_secret"});
    let decline = Fault::Decline { message: "한도 초과".into() };
    merchant.simulator.faults().add(Rule::once(Call::Again, decline).merchant_uid("declined"));
    let at = merchant.now.as_second() + 60;
    let order = json!({"merchant_uid": "later", "schedule_at": at, "amount": 1, "name": "n"});
    let schedule = json!({"customer_uid": "buyer", "schedules": [order]});
    merchant.press(Merchant::window_params("issue", "new"), "approve");
    let bodies = [
        ("AuthResponse", merchant.post("/users/getToken", token)),
        ("PaymentResponse", merchant.again("declined", 1000)),
        ("PaymentResponse", merchant.again("paid", 1000)),
        ("PaymentResponse", merchant.get("/payments/find/issue")),
        (
            "PaymentResponse",
            merchant.post("/payments/cancel", json!({"merchant_uid": "paid", "amount": 1, "reason": "r"})),
        ),
        ("PaymentListResponse", merchant.get("/payments/findAll/paid")),
        ("PaymentListResponse", merchant.get("/payments/status/all")),
        ("CustomerResponse", merchant.get("/subscribe/customers/new")),
        ("MultipleCustomersResponse", merchant.get("/subscribe/customers?customer_uid[]=new")),
        ("ScheduleResponse", merchant.post("/subscribe/payments/schedule", schedule)),
        ("SingleScheduleResponse", merchant.get("/subscribe/payments/schedule/later")),
    ];
    bodies.into_iter().map(|(shape, answer)| (shape, answer.body)).collect()
}

fn assert_fits(validator: &Validator, name: &str, body: &Value) {
    let errors: Vec<String> =
        validator.iter_errors(body).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(errors.is_empty(), "{name}: {errors:#?}");
    let other = json!({"code": 0, "message": null, "response": 1});
    assert!(!validator.is_valid(&other), "the schema of {name} lets anything pass");
}

/// An object with all of these fields: `name:type`, with `?` for one that may be null.
fn object(fields: &str) -> Value {
    let mut properties = Map::new();
    for field in fields.split_whitespace() {
        let (name, kind) = field.split_once(':').unwrap();
        let shape = match kind.strip_suffix('?') {
            Some(kind) => json!({"type": [kind, "null"]}),
            None => json!({"type": kind}),
        };
        properties.insert(name.into(), shape);
    }
    let required: Vec<&String> = properties.keys().collect();
    json!({"type": "object", "required": required, "properties": properties})
}

fn our_shape(name: &str) -> Value {
    let mut payment = object(
        "imp_uid:string merchant_uid:string pay_method:string channel:string pg_provider:string emb_pg_provider:string? \
         pg_tid:string pg_id:string sandbox:boolean escrow:boolean apply_num:string? bank_code:string? bank_name:string? \
         card_code:string? card_name:string? card_quota:integer card_number:string? card_type:integer? \
         vbank_code:string? vbank_name:string? vbank_num:string? vbank_holder:string? vbank_date:integer \
         vbank_issued_at:integer name:string amount:integer cancel_amount:integer currency:string buyer_name:string? \
         buyer_email:string? buyer_tel:string? buyer_addr:string? buyer_postcode:string? custom_data:string? \
         user_agent:string status:string started_at:integer paid_at:integer failed_at:integer cancelled_at:integer \
         fail_reason:string? cancel_reason:string? receipt_url:string? cancel_history:array \
         cash_receipt_issued:boolean customer_uid:string customer_uid_usage:string",
    );
    payment["properties"]["status"] = json!({"enum": ["ready", "paid", "cancelled", "failed"]});
    payment["properties"]["customer_uid_usage"] = json!({"enum": ["issue", "payment", "payment.scheduled"]});
    payment["properties"]["imp_uid"] = json!({"type": "string", "pattern": "^imp_[0-9]{12}$"});
    payment["properties"]["cancel_history"]["items"] = object(
        "pg_tid:string amount:integer cancelled_at:integer reason:string cancellation_id:string receipt_url:string?",
    );
    let customer = object(
        "customer_uid:string pg_provider:string pg_id:string sandbox:boolean customer_id:string? card_name:string? \
         card_code:string? card_number:string? card_type:integer? customer_name:string? customer_tel:string? \
         customer_email:string? customer_addr:string? customer_postcode:string? inserted:integer updated:integer",
    );
    let schedule = object(
        "customer_uid:string merchant_uid:string imp_uid:string? pg_provider:string pg_id:string schedule_at:integer \
         executed_at:integer revoked_at:integer amount:integer currency:string name:string schedule_status:string \
         payment_status:string? fail_reason:string?",
    );
    let response = match name {
        "AuthResponse" => object("access_token:string now:integer expired_at:integer"),
        "PaymentResponse" => payment,
        "PaymentListResponse" => {
            let mut page = object("total:integer previous:integer next:integer list:array");
            page["properties"]["list"]["items"] = payment;
            page
        }
        "CustomerResponse" => customer,
        "MultipleCustomersResponse" => json!({"type": "array", "items": customer}),
        "ScheduleResponse" => json!({"type": "array", "items": schedule}),
        "SingleScheduleResponse" => schedule,
        _ => panic!("no shape for {name}"),
    };
    let envelope = json!({"code": {"const": 0}, "message": {"type": "null"}, "response": response});
    json!({"type": "object", "required": ["code", "message", "response"], "properties": envelope})
}

#[test]
fn every_answer_has_all_fields_of_its_shape() {
    for (name, body) in answers() {
        assert_fits(&jsonschema::validator_for(&our_shape(name)).unwrap(), name, &body);
    }
}

#[test]
fn every_answer_fits_the_vendors_schema() {
    let Ok(path) = std::env::var("IAMPORT_OPENAPI") else {
        eprintln!("skipped: set IAMPORT_OPENAPI to the path of PortOne's V1 OpenAPI file to check against it");
        return;
    };
    let document: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let mut definitions = document["definitions"].clone();
    for definition in definitions.as_object_mut().unwrap().values_mut() {
        mend(definition);
    }
    // Null for gateways without cards, whatever the schema says.
    definitions["CustomerAnnotation"]["properties"]["card_name"]["type"] = json!(["string", "null"]);
    for (name, body) in answers() {
        let schema = json!({"$ref": format!("#/definitions/{name}"), "definitions": definitions});
        assert_fits(&jsonschema::validator_for(&schema).unwrap(), name, &body);
    }
}

/// Swagger 2.0 as the vendor writes it, made a JSON Schema: numbers are quoted, and what is not required may be null.
fn mend(schema: &mut Value) {
    let Some(fields) = schema.as_object_mut() else {
        return;
    };
    for limit in ["maxLength", "minLength", "maximum", "minimum"] {
        if let Some(text) = fields.get(limit).and_then(Value::as_str) {
            let number: u64 = text.parse().unwrap();
            fields.insert(limit.into(), json!(number));
        }
    }
    if fields.contains_key("properties") {
        fields.insert("type".into(), json!("object"));
    }
    let required = fields.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
    for (name, property) in fields.get_mut("properties").and_then(Value::as_object_mut).into_iter().flatten() {
        mend(property);
        let may_be_null = !required.contains(&json!(name));
        if may_be_null && let Some(kind) = property.get("type").and_then(Value::as_str) {
            property["type"] = json!([kind, "null"]);
        }
    }
    if let Some(items) = fields.get_mut("items") {
        mend(items);
    }
    for part in fields.get_mut("allOf").and_then(Value::as_array_mut).into_iter().flatten() {
        mend(part);
    }
}
