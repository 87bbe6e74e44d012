//! A browser before a stack of its own.

use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use journeys::{World, monthly, seoul};
use maedal::subscription::SubscriptionId;
use sandbox::buyer::{Buyer, read};
use sandbox::{Options, Stack, console};
use serde_json::json;
use thirtyfour::common::log::LoggingPrefsLogLevel;
use thirtyfour::extensions::query::{ElementPollerWithTimeout, ElementQueryable};
use thirtyfour::prelude::{WebDriverError, WebElement};
use thirtyfour::{By, ChromiumLikeCapabilities, DesiredCapabilities, WebDriver};

/// What a year on the clock may take on a machine that has other work.
const LONGEST_LEAP: Duration = Duration::from_secs(180);

/// How long a page may take to show what is waited for. Far more than it needs, for a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(30);
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// How wide the narrowest phone is.
const NARROW: u32 = 360;

/// What is serious or worse by axe-core's rules, in short.
const AXE: &str = "return axe.run(document, { resultTypes: ['violations'] }).then((found) => found.violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .map(({ id, nodes }) => ({ id, nodes: nodes.slice(0, 5).map(({ html, failureSummary }) => [html.slice(0, 200), failureSummary]) })))";

/// A small phone with a Korean browser, before the shop of a stack of its own.
///
/// The fields end in this order: the browser, its driver, the stack.
pub(crate) struct Browser {
    driver: WebDriver,
    chromedriver: Chromedriver,
    /// The stack, whose webhooks leave by themselves.
    pub(crate) world: World,
}

impl Browser {
    /// One that asks for Korean pages. `None`, and a line that says why, where no browser is installed.
    pub(crate) async fn open() -> Option<Self> {
        Self::that_accepts("ko-KR").await
    }

    /// One that asks for pages in `language`.
    pub(crate) async fn that_accepts(language: &str) -> Option<Self> {
        let programs = Programs::find();
        let Ok(programs) = programs else {
            let missing = programs.err().unwrap_or_default();
            assert!(std::env::var("MAEDAL_BROWSER").as_deref() != Ok("required"), "{missing}");
            // Past the test runner, which hides what a test that passes prints.
            let _ = writeln!(io::stderr(), "skipped: {missing}");
            return None;
        };
        let options = Options {
            now: seoul("2026-11-23T10:00"),
            webhooks_by_themselves: true,
            keep_journal: true,
            ..Options::default()
        };
        let stack = Stack::start(options, console::router).await.expect("the stack starts");
        let world = World { buyer: Buyer::of(&stack).expect("a client"), stack };
        world.put_plan("coffee", json!({ "name": "매달 커피", "amount": 9_900, "interval": monthly() })).await;

        let chromedriver = Chromedriver::start(&programs.chromedriver);
        let driver = chromedriver.open_browser(&programs.chromium, language).await.expect("chromium starts");
        driver.set_poller(std::sync::Arc::new(ElementPollerWithTimeout::new(PATIENCE, LOOK_AGAIN)));
        Some(Self { driver, chromedriver, world })
    }

    /// Goes to a path of the functions, or to a whole address.
    pub(crate) async fn go(&self, address: &str) {
        let url = if address.starts_with('/') { format!("{}{address}", self.world.stack.url) } else { address.into() };
        self.driver.goto(url).await.expect("the page loads");
    }

    /// Where it is.
    pub(crate) async fn address(&self) -> String {
        self.driver.current_url().await.expect("an address").to_string()
    }

    /// Waits until `css` is there.
    pub(crate) async fn see(&self, css: &str) -> WebElement {
        match self.driver.query(By::Css(css)).first().await {
            Ok(element) => element,
            Err(problem) => panic!("no {css} at {}: {problem}\n{}", self.address().await, self.text().await),
        }
    }

    /// Waits until `css` is there, and reads it.
    pub(crate) async fn read(&self, css: &str) -> String {
        self.see(css).await.text().await.expect("its text")
    }

    /// Waits until `css` can be clicked, and clicks.
    pub(crate) async fn click(&self, css: &str) {
        let element = self.driver.query(By::Css(css)).and_clickable().first().await;
        element.unwrap_or_else(|problem| panic!("{css} can't be clicked: {problem}")).click().await.expect("a click");
    }

    /// All that the page says.
    pub(crate) async fn text(&self) -> String {
        self.driver.find(By::Css("body")).await.expect("a page").text().await.expect("its text")
    }

    /// What a script on the page returns.
    pub(crate) async fn run(&self, script: &str) -> serde_json::Value {
        self.driver.execute(script, vec![]).await.expect("the script runs").json().clone()
    }

    /// A command of Chromium's developer tools.
    pub(crate) async fn devtools(&self, command: &str, params: serde_json::Value) -> serde_json::Value {
        let (port, session) = (self.chromedriver.port, self.driver.session_id());
        let url = format!("http://127.0.0.1:{port}/session/{session}/goog/cdp/execute");
        let request = reqwest::Client::new().post(url).header("content-type", "application/json");
        let answer = request.body(json!({ "cmd": command, "params": params }).to_string()).send().await;
        read(answer.expect("chromedriver answers")).await["value"].clone()
    }

    /// Pages are to be dark, or light.
    pub(crate) async fn prefer(&self, scheme: &str) {
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        self.devtools("Emulation.setEmulatedMedia", json!({ "features": features })).await;
    }

    /// In the console: the clock leaps, and the page shows its end.
    pub(crate) async fn leap(&self, span: &str) {
        // The page that the button is on doesn't count.
        self.run("document.body.id = 'before'").await;
        self.click(&format!("#clock-{span}")).await;
        let end = self.driver.query(By::Css("body:not(#before) #clock-hour"));
        end.wait(LONGEST_LEAP, Duration::from_millis(200)).first().await.expect("the clock arrives");
    }

    /// The screen is `width` by `height`.
    pub(crate) async fn resize(&self, width: u32, height: u32) {
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.devtools("Emulation.setDeviceMetricsOverride", metrics).await;
    }

    /// What is on the screen, as WebP.
    pub(crate) async fn picture(&self) -> Vec<u8> {
        let shot = self.devtools("Page.captureScreenshot", json!({ "format": "webp", "quality": 80 })).await;
        aws_smithy_types::base64::decode(shot["data"].as_str().expect("a picture")).expect("base64")
    }

    /// Loads the page again.
    pub(crate) async fn reload(&self) {
        self.driver.refresh().await.expect("the page loads again");
    }

    /// The back button.
    pub(crate) async fn go_back(&self) {
        self.driver.back().await.expect("a page before");
    }

    /// From the shop's page to the checkout of `coffee`. Returns the session.
    pub(crate) async fn choose_coffee(&self) -> SubscriptionId {
        self.go("/shop").await;
        self.click("#subscribe-coffee").await;
        self.see("#subscribe").await;
        let address = self.address().await;
        address.rsplit('/').next().and_then(|id| id.parse().ok()).expect("a session's address")
    }

    /// On the checkout page: agrees, and goes on to the payment window.
    pub(crate) async fn agree(&self) {
        self.click("[name=consent]").await;
        self.click("#subscribe button").await;
        self.see("#approve").await;
    }

    /// Nothing on the page is wider than the screen.
    pub(crate) async fn fits(&self) {
        let width = self.run("return [innerWidth, document.documentElement.scrollWidth]").await;
        assert_eq!(width, json!([NARROW, NARROW]), "{} scrolls sideways", self.address().await);
    }

    /// axe-core finds nothing serious on the page, light and dark. Without axe-core it says so, and looks no further.
    pub(crate) async fn is_accessible(&self) {
        let Some(path) = std::env::var_os("MAEDAL_AXE") else {
            let missing = "MAEDAL_AXE doesn't name axe-core's axe.min.js (npm pack axe-core)";
            assert!(std::env::var("MAEDAL_BROWSER").as_deref() != Ok("required"), "{missing}");
            let _ = writeln!(io::stderr(), "skipped: {missing}");
            return;
        };
        let axe = std::fs::read_to_string(path).expect("MAEDAL_AXE can be read");
        for scheme in ["light", "dark"] {
            self.prefer(scheme).await;
            self.run(&format!("if (!window.axe) {{ {axe}\n }}")).await;
            let found = self.run(AXE).await;
            assert_eq!(found, json!([]), "{} ({scheme})", self.address().await);
        }
        self.prefer("light").await;
    }

    /// Takes what the console has logged so far, all of which has to be about `expected`.
    pub(crate) async fn forgive(&self, expected: &str) {
        for complaint in self.complaints().await {
            assert!(complaint.contains(expected), "{complaint}");
        }
    }

    /// What the console has logged since it was last read: errors and warnings.
    async fn complaints(&self) -> Vec<String> {
        let log = self.driver.browser_log().await.expect("the console's log");
        log.into_iter()
            .filter(|entry| ["SEVERE", "WARNING"].contains(&&*entry.level))
            .map(|entry| entry.message)
            .collect()
    }

    /// Closes it. The browser has complained of nothing: no breach of the pages' security policy, no error in a script.
    pub(crate) async fn close(self) {
        assert_eq!(self.complaints().await, Vec::<String>::new());
        self.driver.quit().await.expect("the browser ends");
    }
}

struct Programs {
    chromium: PathBuf,
    chromedriver: PathBuf,
}

impl Programs {
    fn find() -> Result<Self, String> {
        let program = |variable: &str, name: &str| match std::env::var_os(variable) {
            Some(path) => Ok(PathBuf::from(path)),
            None => on_path(name)
                .ok_or(format!("{name} is not on PATH; install it (apt: chromium chromium-driver) or set {variable}")),
        };
        Ok(Self { chromium: program("CHROMIUM", "chromium")?, chromedriver: program("CHROMEDRIVER", "chromedriver")? })
    }
}

fn on_path(name: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?).map(|folder| folder.join(name)).find(|path| path.is_file())
}

/// A chromedriver on a port of its choice, and the folder that its browser writes to. Both end with it.
struct Chromedriver {
    process: Child,
    port: u16,
    profile: PathBuf,
}

impl Chromedriver {
    fn start(program: &Path) -> Self {
        let mut process = Command::new(program)
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver starts");
        let said = BufReader::new(process.stdout.take().expect("its output")).lines().map_while(Result::ok);
        let port = said
            .filter_map(|line| line.split_once("successfully on port ")?.1.trim_end_matches('.').parse().ok())
            .next();
        let port = port.expect("chromedriver says its port");
        let profile = std::env::temp_dir().join(format!("maedal-browser-{}", process.id()));
        Self { process, port, profile }
    }

    async fn open_browser(&self, chromium: &Path, language: &str) -> Result<WebDriver, WebDriverError> {
        let mut wishes = DesiredCapabilities::chrome();
        wishes.set_binary(&chromium.to_string_lossy())?;
        for flag in [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            &format!("--accept-lang={language}"),
            &format!("--user-data-dir={}", self.profile.display()),
        ] {
            wishes.add_arg(flag)?;
        }
        let phone = json!({ "deviceMetrics": { "width": NARROW, "height": 740, "pixelRatio": 2.0 } });
        wishes.add_experimental_option("mobileEmulation", phone)?;
        wishes.set_browser_log_level(LoggingPrefsLogLevel::All)?;
        WebDriver::new(format!("http://127.0.0.1:{}", self.port), wishes).await
    }
}

impl Drop for Chromedriver {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_dir_all(&self.profile);
    }
}
