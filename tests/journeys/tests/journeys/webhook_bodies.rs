//! A hundred thousand bodies, valid, mutated and hostile: nothing breaks, and nothing is written on a stranger's word.

use std::collections::BTreeMap;
use std::time::Duration;

use http::Request;
use journeys::{World, no_money};
use lambda_http::{Body, RequestExt};
use maedal::clock::Clock;
use maedal::subscription::{MerchantUid, Status, Subscription, SubscriptionId};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use sandbox::buyer::Button;
use serde_json::{Value, json};
use simulator::{Call, Fault, Rule};

use crate::webhook::told;

const BODIES: usize = 100_000;

const HOSTILE: [&str; 18] = [
    "",
    "null",
    "[]",
    "\u{0}",
    "{\"imp_uid\":",
    "{\"imp_uid\":null,\"merchant_uid\":null}",
    "{\"imp_uid\":1e999,\"merchant_uid\":-0}",
    "{\"imp_uid\":\"imp_1\",\"imp_uid\":\"imp_2\",\"merchant_uid\":\"m\"}",
    "{\"imp_uid\":\"\\ud800\",\"merchant_uid\":\"m\"}",
    "{\"imp_uid\":{\"$ne\":\"\"},\"merchant_uid\":{\"$gt\":\"\"}}",
    "imp_uid[]=a&merchant_uid[]=b",
    "imp_uid=%&merchant_uid=%zz%",
    "imp_uid=a&merchant_uid=%00%0d%0aSet-Cookie:x",
    "<?xml version=\"1.0\"?><!DOCTYPE a [<!ENTITY b SYSTEM \"file:///etc/passwd\">]><a>&b;</a>",
    "imp_uid='%20OR%201=1--&merchant_uid=SUB%23x",
    "\u{feff}{}",
    "가나다",
    "()&%<script>alert(1)</script>",
];

const PATHS: [&str; 8] = ["..", ".", "status", "findAll", "../users/getToken", "imp_1?x=1", "imp_1#", "imp_1/../.."];

/// What a body is made from.
struct Maker {
    dice: StdRng,
    /// Webhooks that I'mport has made.
    told: Vec<String>,
    ours: Vec<Subscription>,
    imp_uids: Vec<String>,
}

impl Maker {
    fn below(&mut self, n: usize) -> usize {
        self.dice.random_range(0..n)
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }

    fn text(&mut self, most: usize) -> String {
        let length = self.below(most + 1);
        (0..length).map(|_| char::from_u32(self.dice.random_range(0..0x3000)).unwrap_or('\u{fffd}')).collect()
    }

    /// A content type and a body.
    fn next(&mut self) -> (&'static str, Vec<u8>) {
        const TYPES: [&str; 5] = [
            "application/json",
            "application/x-www-form-urlencoded",
            "",
            "text/plain",
            "multipart/form-data; boundary=x",
        ];
        let content_type = self.one(&TYPES);
        let body = match self.below(100) {
            0..40 => self.one(&HOSTILE).as_bytes().to_vec(),
            40..55 => (0..self.below(300)).map(|_| self.dice.random()).collect(),
            55..60 => match self.below(4) {
                0 => vec![b'['; self.below(20_000)],
                1 => "{\"a\":".repeat(self.below(4_000)).into_bytes(),
                2 => vec![b'&'; 16 * 1024 - 1 + self.below(3)],
                _ => format!("imp_uid=imp_1&merchant_uid={}", "x".repeat(self.below(17_000))).into_bytes(),
            },
            60..82 => json!({ "imp_uid": self.text(40), "merchant_uid": self.text(50), "status": self.text(9) })
                .to_string()
                .into_bytes(),
            82..93 => self.mutated(),
            93..97 => self.whole(),
            _ => self.forged(),
        };
        (content_type, body)
    }

    /// Exactly as I'mport sent it, or as a form.
    fn whole(&mut self) -> Vec<u8> {
        let place = self.below(self.told.len());
        let told = self.told[place].clone();
        if self.below(2) == 0 { told.into_bytes() } else { form(&told) }
    }

    fn mutated(&mut self) -> Vec<u8> {
        let mut body = self.whole();
        for _ in 0..=self.below(4) {
            let place = self.below(body.len().max(1));
            match self.below(4) {
                0 if place < body.len() => body[place] = self.dice.random(),
                1 if place < body.len() => drop(body.remove(place)),
                2 => body.insert(place.min(body.len()), self.dice.random_range(b' '..=b'~')),
                _ => body.truncate(place.max(1)),
            }
        }
        body
    }

    /// The right shape, with names that don't belong together or don't exist.
    fn forged(&mut self) -> Vec<u8> {
        let small = |maker: &mut Self| u32::try_from(1 + maker.below(3)).unwrap();
        let (first, second, place) = (small(self), small(self), self.below(1 + self.ours.len()));
        let name = match (self.below(2), place.checked_sub(1)) {
            (0, None) => MerchantUid::charge(SubscriptionId::new(ulid_of(self.dice.random())), first, second),
            (_, None) => MerchantUid::window(SubscriptionId::new(ulid_of(self.dice.random())), first),
            // A few of them as if they had been guessed.
            (0, Some(place)) => self.ours[place].charge_name(first, second),
            (_, Some(place)) => self.ours[place].window_name(first),
        };
        let tag = if self.below(3) == 0 { None } else { name.tag };
        let name = MerchantUid { tag, ..name }.to_string();
        let imp_uid = match self.below(4) {
            0 => self.one(&PATHS).to_owned(),
            1 => format!("imp_{:012}", self.below(1_000_000)),
            _ => {
                let place = self.below(self.imp_uids.len());
                self.imp_uids[place].clone()
            }
        };
        let status = self.one(&["paid", "cancelled", "failed", "ready", "refunded", ""]);
        let mut body = json!({ "imp_uid": imp_uid, "merchant_uid": name, "status": status });
        if self.below(2) == 0 {
            body["cancellation_id"] = self.text(60).into();
        }
        body.to_string().into_bytes()
    }
}

fn ulid_of(random: u128) -> ulid::Ulid {
    ulid::Ulid::from(random)
}

fn form(told: &str) -> Vec<u8> {
    let told: Value = serde_json::from_str(told).unwrap();
    let mut form = form_urlencoded::Serializer::new(String::new());
    for (name, value) in told.as_object().unwrap() {
        form.append_pair(name, value.as_str().unwrap());
    }
    form.finish().into_bytes()
}

/// A paid subscription with a part given back that we haven't heard of, a declined one, one in doubt, and a session whose
/// billing key nobody has told us of.
async fn lives(world: &World) -> Vec<SubscriptionId> {
    world.fault(Rule::always(Fault::WebhookLost).on(Call::Webhook));
    let paid = world.subscribed("coffee").await;
    let imp_uid = world.ledger(paid).await.charges[0].payment().unwrap().imp_uid.to_string();
    let now = maedal::clock::Clock::now(world.stack.clock.as_ref());
    world.stack.iamport().cancel_in_console(&imp_uid, Some(3_000), now).unwrap();
    let declined = world.session("coffee").await;
    world.fault(Rule::once(Call::Again, no_money()));
    world.buyer.subscribe(declined).await.unwrap();
    let in_doubt = world.session("coffee").await;
    world.fault(Rule::once(Call::Again, Fault::CutAfterEffect));
    world.buyer.subscribe(in_doubt).await.unwrap();
    let unheard = world.session("coffee").await;
    let window = world.buyer.open_window(unheard).await.unwrap();
    world.buyer.press(&window, Button::Approve).await.unwrap();
    vec![paid, declined, in_doubt, unheard]
}

#[tokio::test]
async fn a_hundred_thousand_bodies_break_nothing() {
    let world = World::new().await;
    let ids = lives(&world).await;
    let told: Vec<String> = told(&world, "imp_uid");
    let imp_uids = world.stack.iamport().books().payments().iter().map(|payment| payment.imp_uid.clone()).collect();
    let mut ours = Vec::new();
    for id in &ids {
        ours.push(world.subscription(*id).await);
    }
    let mut maker = Maker { dice: StdRng::seed_from_u64(4), told, ours, imp_uids };
    let billing = &world.stack.billing;
    let mut answers: BTreeMap<(u16, String), usize> = BTreeMap::new();
    let (mut read, mut asked, mut wrote) = (0, 0, 0);
    for nth in 0..BODIES {
        let (content_type, body) = maker.next();
        let request = Request::post("/webhooks/iamport").header("content-type", content_type);
        let request = request.body(Body::Binary(body.clone())).unwrap().with_raw_http_path("/webhooks/iamport");
        let (table, iamport) = (billing.store.meter().usage(), billing.iamport.calls());
        let answer = webhook::handle(&world.stack.functions.webhook, request).await;
        let (table, iamport) = (billing.store.meter().usage() - table, billing.iamport.calls() - iamport);
        let shown = || String::from_utf8_lossy(&body).into_owned();
        assert!(answer.status().as_u16() < 500, "body {nth}: {} {}", answer.status(), shown());
        assert!(table.write_units == 0.0 || iamport > 0, "body {nth} wrote and I'mport wasn't asked: {}", shown());
        read += usize::from(table.calls > 0);
        asked += usize::from(iamport > 0);
        wrote += usize::from(table.write_units > 0.0);
        let said = String::from_utf8_lossy(answer.body()).into_owned();
        if said.contains("kept") {
            // What I'mport doesn't show may still come, and nothing else is kept where everybody is well.
            let hint = webhook::Notice::read(content_type, &body).unwrap().hint(world.stack.clock.now());
            assert!(!maker.imp_uids.contains(&hint.imp_uid), "body {nth} is kept: {}", shown());
        }
        *answers.entry((answer.status().as_u16(), said)).or_default() += 1;
        world.stack.clock.advance(Duration::from_millis(20));
    }
    println!("{answers:#?}\nread {read}, asked {asked}, wrote {wrote}");
    assert_eq!(answers.values().sum::<usize>(), BODIES);
    for (status, least) in [(200, 5_000), (400, 30_000), (413, 100)] {
        let count: usize = answers.iter().filter(|((s, _), _)| *s == status).map(|(_, count)| count).sum();
        assert!(count >= least, "{status}: {count}");
    }
    // What I'mport had to tell was among them: the refund, the payment in doubt, the billing key.
    assert!((3..=10).contains(&wrote), "{wrote}");
    // What was kept comes three times, and is let go of: one payment's hints come one after the other.
    while !world.stack.queue.is_empty() {
        while !world.stack.charge_batch().await.is_empty() {}
        world.stack.clock.advance(Duration::from_secs(150));
    }
    assert_eq!(world.stack.queue.dead_letters(), []);
    assert_eq!(world.ledger(ids[0]).await.refunds.len(), 1);
    let statuses = [Status::Active, Status::Pending, Status::Active, Status::Active];
    for (id, status) in ids.iter().zip(statuses) {
        assert_eq!(world.subscription(*id).await.status, status);
    }
    world.reconciled(&ids).await;
}
