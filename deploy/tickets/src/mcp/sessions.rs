//! Bounds on the sessions of the legacy era, which rmcp keeps until they were idle for five minutes.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::middleware::Next;
use axum::response::Response;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::session::{SessionId, SessionManager as _};

use crate::identity::Identity;

/// The most sessions, of all callers together.
const MAX_ALL: usize = 1024;

/// The most of one caller, so that nobody fills what is everybody's.
const MAX_OF_ONE: usize = MAX_ALL / 4;

const SESSION_ID: &str = "mcp-session-id";

/// The sessions of each caller, oldest first.
pub(super) struct Sessions {
    manager: Arc<LocalSessionManager>,
    of: Mutex<HashMap<String, VecDeque<SessionId>>>,
}

/// Ends a session for each one too many. Its client is told with 404, and opens another.
pub(super) async fn bound(
    State(sessions): State<Arc<Sessions>>,
    request: Request,
    next: Next,
) -> Response {
    if request.headers().contains_key(SESSION_ID) {
        return next.run(request).await;
    }
    let caller = caller(request.headers());
    // Before: whoever leaves before the answer is not seen below.
    sessions.make_room().await;
    let response = next.run(request).await;
    let opened = response.headers().get(SESSION_ID).and_then(|value| value.to_str().ok());
    if let Some(id) = opened {
        sessions.add(caller, id.into()).await;
    }
    response
}

fn caller(headers: &HeaderMap) -> String {
    let caller = Identity::from_headers(headers).ok();
    caller.map_or_else(String::new, |by| format!("{}\n{}", by.organization, by.user))
}

impl Sessions {
    pub(super) fn new(manager: Arc<LocalSessionManager>) -> Self {
        Self { manager, of: Mutex::default() }
    }

    async fn make_room(&self) {
        if self.manager.sessions.read().await.len() < MAX_ALL {
            return;
        }
        let alive = self.alive().await;
        let superfluous = self.change(|of| {
            forget(of, &alive);
            let known: HashSet<_> = of.values().flatten().cloned().collect();
            let unseen: Vec<_> = alive.difference(&known).cloned().collect();
            if !unseen.is_empty() {
                return unseen;
            }
            let greedy = of.values_mut().max_by_key(|sessions| sessions.len());
            greedy.and_then(VecDeque::pop_front).into_iter().collect()
        });
        self.close(superfluous).await;
    }

    async fn add(&self, caller: String, id: SessionId) {
        let alive = self.alive().await;
        let superfluous = self.change(|of| {
            forget(of, &alive);
            let sessions = of.entry(caller).or_default();
            sessions.push_back(id);
            if sessions.len() > MAX_OF_ONE { sessions.pop_front() } else { None }
        });
        self.close(superfluous).await;
    }

    async fn alive(&self) -> HashSet<SessionId> {
        self.manager.sessions.read().await.keys().cloned().collect()
    }

    fn change<T>(&self, change: impl FnOnce(&mut HashMap<String, VecDeque<SessionId>>) -> T) -> T {
        change(&mut self.of.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn close(&self, superfluous: impl IntoIterator<Item = SessionId>) {
        for id in superfluous {
            if let Err(error) = self.manager.close_session(&id).await {
                tracing::warn!(%error, "a session could not be ended");
            }
        }
    }
}

fn forget(of: &mut HashMap<String, VecDeque<SessionId>>, alive: &HashSet<SessionId>) {
    of.retain(|_, sessions| {
        sessions.retain(|id| alive.contains(id));
        !sessions.is_empty()
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn open(sessions: &Sessions) -> SessionId {
        sessions.make_room().await;
        sessions.manager.create_session().await.unwrap().0
    }

    #[tokio::test]
    async fn however_many_callers_there_are_the_greediest_makes_room() {
        let sessions = Sessions::new(Arc::default());
        let good = open(&sessions).await;
        sessions.add("good".to_owned(), good.clone()).await;
        for number in 0..MAX_ALL + 10 {
            let id = open(&sessions).await;
            sessions.add((number % 6).to_string(), id).await;
        }
        let alive = sessions.alive().await;
        assert_eq!(alive.len(), MAX_ALL);
        assert!(alive.contains(&good), "it is the oldest of all, and its caller's only one");
    }

    #[tokio::test]
    async fn clients_that_leave_before_the_answer_leave_no_sessions_behind() {
        let sessions = Sessions::new(Arc::default());
        let good = open(&sessions).await;
        sessions.add("good".to_owned(), good.clone()).await;
        for _ in 0..MAX_ALL * 2 {
            open(&sessions).await;
        }
        let alive = sessions.alive().await;
        assert!(alive.len() <= MAX_ALL && alive.contains(&good), "{}", alive.len());
    }
}
