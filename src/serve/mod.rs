//! A results folder, live in a browser: what `ablate report` tells of an experiment, and more to pick and compare, while
//! it runs or after. It only reads; whoever wants an answer needs the token, and asks under a name of this machine.

mod answers;
mod desk;
mod guard;

use crate::problem::{Problem, Problems, Result};
use answers::{Answer, Query};
use axum::Router;
use axum::body::Body;
use axum::extract::{Path as Segments, RawQuery, State as Shared};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::{self, Next};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use desk::{Book, Desk};
use futures_util::stream::{self, Stream};
use guard::{Guard, Verdict};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// A server that is bound to its address.
#[derive(Debug)]
pub struct Server {
    listener: std::net::TcpListener,
    room: Arc<Room>,
    /// What to open in a browser, the token in it.
    pub address: String,
}

/// What all requests share.
#[derive(Debug)]
struct Room {
    guard: Guard,
    desk: Mutex<Desk>,
    /// Answers by address, and what was known when they were given: of before that none is kept.
    given: Mutex<(u64, HashMap<String, Answer>)>,
    /// Wakes those who follow.
    changed: watch::Sender<u64>,
    /// Tells one start of the server from another.
    start: u64,
}

/// Time between two looks at what changed.
const LOOK: Duration = Duration::from_millis(500);

/// Answers that are kept.
const KEPT: usize = 256;

/// The files of the page.
const ASSETS: [(&str, &str, &str); 14] = [
    ("report.css", "text/css", crate::report::STYLE),
    ("sort.js", "text/javascript", crate::report::SORT),
    ("style.css", "text/css", include_str!("page/style.css")),
    ("main.js", "text/javascript", include_str!("page/main.js")),
    ("parts.js", "text/javascript", include_str!("page/parts.js")),
    ("run.js", "text/javascript", include_str!("page/run.js")),
    ("results.js", "text/javascript", include_str!("page/results.js")),
    ("parallel.js", "text/javascript", include_str!("page/parallel.js")),
    ("curves.js", "text/javascript", include_str!("page/curves.js")),
    ("samples.js", "text/javascript", include_str!("page/samples.js")),
    ("graph.js", "text/javascript", include_str!("page/graph.js")),
    ("compare.js", "text/javascript", include_str!("page/compare.js")),
    ("uplot.js", "text/javascript", include_str!("page/uplot/uPlot.iife.min.js")),
    ("uplot.css", "text/css", include_str!("page/uplot/uPlot.min.css")),
];

const PAGE: &str = include_str!("page/index.html");

impl Server {
    /// Reads a results folder and binds to an address; `names` are those under which it may be asked for, besides
    /// `localhost` and the address itself.
    ///
    /// # Errors
    /// If there are no results, or the address is taken.
    pub fn open(root: &Path, at: SocketAddr, names: Vec<String>) -> Result<Self> {
        let desk = Desk::open(root)?;
        let listener = std::net::TcpListener::bind(at).map_err(|e| {
            Problem::new(format!("cannot listen on {at}: {e}"))
                .help("take another port: --listen 127.0.0.1:0 finds a free one")
        })?;
        let at = listener
            .local_addr()
            .and_then(|at| listener.set_nonblocking(true).map(|()| at))
            .map_err(|e| Problem::system(format!("cannot listen on {at}: {e}")))?;
        let guard = Guard::new(at, names)?;
        let address = guard.address(at);
        let room = Arc::new(Room {
            guard,
            desk: Mutex::new(desk),
            given: Mutex::default(),
            changed: watch::Sender::new(0),
            start: jiff::Timestamp::now().as_millisecond().unsigned_abs(),
        });
        Ok(Self { listener, room, address })
    }

    /// Answers until the program is ended.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn run(self) -> Result<()> {
        let wrong = |e: std::io::Error| Problem::system(format!("the server ended: {e}"));
        let runtime =
            tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(wrong)?;
        let room = Arc::clone(&self.room);
        std::thread::spawn(move || look_after(&room));
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(self.listener).map_err(wrong)?;
            axum::serve(listener, router(self.room)).await.map_err(wrong)
        })
    }
}

/// Looks at what changed for as long as the program runs.
fn look_after(room: &Room) {
    loop {
        std::thread::sleep(LOOK);
        // What cannot be read now may be readable the next time.
        if lock(&room.desk).refresh().unwrap_or(false) {
            room.changed.send_modify(|count| *count += 1);
        }
    }
}

/// A request that failed leaves nothing half changed.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn router(room: Arc<Room>) -> Router {
    Router::new()
        .route("/", get(async || typed("text/html; charset=utf-8", PAGE.to_owned())))
        .route("/assets/{name}", get(asset))
        .route("/events/{experiment}", get(follow))
        .route("/api/{*path}", get(answer))
        .fallback(async || (StatusCode::NOT_FOUND, "there is nothing here"))
        .layer(middleware::from_fn_with_state(Arc::clone(&room), guarded))
        .with_state(room)
}

fn typed(kind: &'static str, body: impl Into<Body>) -> Response {
    ([(header::CONTENT_TYPE, HeaderValue::from_static(kind))], body.into()).into_response()
}

/// Lets through who may ask, and tells browsers to be careful with the answer.
async fn guarded(
    Shared(room): Shared<Arc<Room>>,
    request: axum::extract::Request,
    next: Next,
) -> Response {
    let verdict = {
        let text =
            |name: HeaderName| request.headers().get(name).and_then(|value| value.to_str().ok());
        let address = request.uri().path_and_query().map_or("/", |address| address.as_str());
        let brought = (text(header::COOKIE), text(header::AUTHORIZATION));
        room.guard.judge(text(header::HOST), address, brought)
    };
    let mut response = match verdict {
        _ if request.method() != Method::GET && request.method() != Method::HEAD => {
            (StatusCode::METHOD_NOT_ALLOWED, "this server only shows").into_response()
        }
        Verdict::Answer => next.run(request).await,
        Verdict::Settle => {
            let cookie = HeaderValue::from_str(&room.guard.cookie());
            let cookie = cookie.unwrap_or(HeaderValue::from_static(""));
            let home = HeaderValue::from_static("/");
            (StatusCode::SEE_OTHER, [(header::SET_COOKIE, cookie), (header::LOCATION, home)])
                .into_response()
        }
        Verdict::Stranger => {
            let help =
                "this server does not answer to that name; `ablate serve --name NAME` makes it\n";
            (StatusCode::MISDIRECTED_REQUEST, help).into_response()
        }
        Verdict::Unknown => {
            let help = "open the address that `ablate serve` has printed, with the token in it\n";
            (StatusCode::UNAUTHORIZED, help).into_response()
        }
    };
    let policy = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
                  img-src 'self' data:; connect-src 'self'; font-src 'self' data:; base-uri 'none'; \
                  form-action 'none'; frame-ancestors 'none'";
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
        .headers_mut()
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-cache"));
    response
}

async fn asset(Segments(name): Segments<String>) -> Response {
    if name == "fonts.css" {
        return typed("text/css", fonts());
    }
    match ASSETS.iter().find(|(known, _, _)| *known == name) {
        Some((_, kind, text)) => typed(kind, *text),
        None => (StatusCode::NOT_FOUND, "there is no such file").into_response(),
    }
}

/// The faces that figures are set in.
fn fonts() -> String {
    let [upright, italic] = crate::figure::text_faces().map(crate::figure::base64);
    let face = |style: &str, data: &str| {
        format!(
            "@font-face {{ font-family: 'STIX Two Text'; font-style: {style}; src: url(data:font/ttf;base64,{data}); }}\n"
        )
    };
    face("normal", &upright) + &face("italic", &italic)
}

/// Answers a question, once for all who ask it until something changes.
async fn answer(
    Shared(room): Shared<Arc<Room>>,
    Segments(path): Segments<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let query = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(&uri);
    let query = Query(query.map(|query| query.0).unwrap_or_default());
    let address = uri.to_string();
    let asked = tokio::task::spawn_blocking(move || room.answer(&path, &query, &address)).await;
    let (tag, outcome) = asked.unwrap_or_else(|e| {
        (String::new(), Err(Problem::system(format!("the answer failed: {e}")).into()))
    });
    let wrong = |status: StatusCode, sentence: String| {
        (status, typed("application/json", json!({ "wrong": sentence }).to_string()))
            .into_response()
    };
    let tag = HeaderValue::from_str(&tag).unwrap_or(HeaderValue::from_static("\"\""));
    match outcome {
        // What running nodes tell is another thing a moment later.
        Ok(Some(Answer { kind, body, lasts: false })) => typed(kind, body),
        Ok(_) if headers.get(header::IF_NONE_MATCH) == Some(&tag) => {
            (StatusCode::NOT_MODIFIED, [(header::ETAG, tag)]).into_response()
        }
        Ok(Some(Answer { kind, body, .. })) => {
            ([(header::ETAG, tag)], typed(kind, body)).into_response()
        }
        Ok(None) => wrong(StatusCode::NOT_FOUND, "there is nothing here".to_owned()),
        Err(problems) => wrong(StatusCode::BAD_REQUEST, problems.to_string()),
    }
}

impl Room {
    /// The answer to a question, and a tag that tells it from later ones.
    fn answer(
        &self,
        path: &str,
        query: &Query,
        address: &str,
    ) -> (String, Result<Option<Answer>, Problems>) {
        let desk = lock(&self.desk);
        let (now, start) = (desk.now, self.start);
        let tag = format!("\"{start}-{now}\"");
        // Whoever waited for the desk finds what the one before has got.
        {
            let mut given = lock(&self.given);
            if given.0 != now {
                *given = (now, HashMap::new());
            }
            if let Some(known) = given.1.get(address) {
                return (tag, Ok(Some(known.clone())));
            }
        }
        let path: Vec<&str> = path.split('/').collect();
        let outcome = desk.answer(&path, query);
        if let Some(answer) = outcome.as_ref().ok().and_then(Option::as_ref).filter(|a| a.lasts) {
            let mut given = lock(&self.given);
            if given.1.len() >= KEPT {
                given.1.clear();
            }
            given.1.insert(address.to_owned(), answer.clone());
        }
        (tag, outcome)
    }

    /// What has changed in an experiment since somebody looked last, and the moment until which this is true.
    fn news(&self, experiment: &str, since: Option<u64>) -> (u64, Vec<(&'static str, Value)>) {
        let desk = lock(&self.desk);
        let mut news = vec![];
        let entry = desk.entry(experiment);
        match (entry, since) {
            (Some(entry), Some(since)) if entry.read <= since => {
                let of_book = |book: &Book| -> Vec<Value> {
                    let states = book.states.iter().zip(&book.seconds).enumerate();
                    let changed = states.filter(|(_, ((_, when), _))| *when > since);
                    changed.map(|(i, ((state, _), took))| json!([i, state.word(), took])).collect()
                };
                let changed = entry.book.as_ref().map(of_book).unwrap_or_default();
                if desk.now > since {
                    news.push(("nodes", Value::from(changed)));
                }
            }
            (Some(_), None) => news.push(("nodes", json!([]))),
            // The graph is another one, or is gone.
            _ => news.push(("reload", Value::Null)),
        }
        news.push(("boards", serde_json::from_str(&desk.boards).unwrap_or_default()));
        (desk.now, news)
    }
}

/// Tells what changes, as server-sent events; whoever comes back after an interruption says what was told last.
async fn follow(
    Shared(room): Shared<Arc<Room>>,
    Segments(experiment): Segments<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    // Of another start of the server nothing is known.
    let mark = |text: &str| -> Option<u64> {
        let (start, since) = text.split_once('-')?;
        (start == room.start.to_string()).then(|| since.parse().ok()).flatten()
    };
    let last = headers.get("last-event-id").and_then(|value| value.to_str().ok());
    let since = match last {
        Some(last) => Some(mark(last).unwrap_or(0)),
        None => query.as_deref().and_then(|query| query.strip_prefix("since=")?.parse().ok()),
    };
    let watched = room.changed.subscribe();
    let events = stream::unfold(
        (room, watched, since, Vec::<(&'static str, Value)>::new(), experiment, true),
        |(room, mut watched, mut since, mut waiting, experiment, is_first)| async move {
            if waiting.is_empty() {
                if !is_first {
                    watched.changed().await.ok()?;
                }
                watched.borrow_and_update();
                let (now, mut news) = room.news(&experiment, since);
                news.reverse();
                (since, waiting) = (Some(now), news);
            }
            let (name, data) = waiting.pop()?;
            let id = format!("{}-{}", room.start, since.unwrap_or(0));
            let event = Event::default().event(name).id(id).data(data.to_string());
            Some((Ok(event), (room, watched, since, waiting, experiment, false)))
        },
    );
    Sse::new(events).keep_alive(KeepAlive::new().interval(Duration::from_secs(15)))
}
