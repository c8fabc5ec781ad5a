//! The proof of a decision, and what it says about the answer.

use std::sync::Arc;

use crate::core::edits::Edits;
use crate::core::method::{self, Filter, Method, Rule};
use crate::core::permission::{Judged, Permission, Question, Target, TargetKind};
use crate::core::pin::{Cursor, Mark, Page, Pins, Source};
use crate::core::policy::Tasks;
use crate::core::principal::Principal;
use crate::core::revision::Era;
use crate::core::rule::Rule as ConfigRule;
use crate::core::token::UnixSeconds;
use crate::core::trace::NoTrace;

/// Proof that a request was judged and may be forwarded. Only [`decide`](super::decide) makes one.
#[derive(Clone, Debug)]
pub struct Permit {
    pub(super) principal: Arc<Principal>,
    pub(super) upstream: Arc<str>,
    pub(super) method: Option<&'static Method>,
    pub(super) tool: Option<Arc<str>>,
    pub(super) judged: Option<Judged>,
    pub(super) now: UnixSeconds,
    pub(super) era: Era,
    pub(super) session: Option<String>,
    pub(super) is_get: bool,
    pub(super) tasks: Tasks,
    pub(super) pins: Option<Arc<Pins>>,
    pub(super) cursor: Cursor,
    pub(super) began: u64,
    /// In the order of their ids: a request may name as many as its body can hold, and an answer
    /// all of them again.
    pub(super) known_tasks: Vec<KnownTask>,
    /// What a stream without an end may show only as long as it is permitted.
    pub(super) rests_on: Vec<(TargetKind, Box<str>)>,
    pub(super) edits: Edits,
}

/// A task that the request names.
#[derive(Clone, Debug)]
pub struct KnownTask {
    /// Its id as the upstream knows it.
    pub id: String,
    /// Its id as the caller knows it.
    pub sealed: String,
    /// Whether the request acts on it, or only says that it belongs to it.
    pub is_target: bool,
}

impl Permit {
    /// Who asked.
    #[must_use]
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// Where it may go.
    #[must_use]
    pub fn upstream(&self) -> &str {
        &self.upstream
    }

    /// The row of the method table; absent for GET, DELETE and a client's response.
    #[must_use]
    pub fn method(&self) -> Option<&'static Method> {
        self.method
    }

    /// The tool that may be called, where it is a call.
    #[must_use]
    pub fn tool(&self) -> Option<&str> {
        self.tool.as_deref()
    }

    /// The era of the request.
    #[must_use]
    pub fn era(&self) -> Era {
        self.era
    }

    /// The session as the upstream knows it.
    #[must_use]
    pub fn session(&self) -> Option<&str> {
        self.session.as_deref()
    }

    /// What is changed in the answer.
    #[must_use]
    pub fn filter(&self) -> Filter {
        match self.method.map_or(Filter::Nothing, |m| m.filter) {
            // Legacy results say nothing about caches.
            Filter::Cache if self.era == Era::Legacy => Filter::Nothing,
            filter => filter,
        }
    }

    /// Whether the answer is a GET stream, in which a list can turn up for a request that was
    /// made elsewhere (MCP 2025-11-25, "Resumability and Redelivery").
    #[must_use]
    pub fn is_get(&self) -> bool {
        self.is_get
    }

    /// Whether the answer is a stream that lasts until somebody closes it.
    #[must_use]
    pub fn is_endless(&self) -> bool {
        self.is_get || self.method.is_some_and(|m| m.name == method::LISTEN)
    }

    /// Whether the request may be sent again after a pooled connection turned out to be dead.
    #[must_use]
    pub fn is_repeatable(&self) -> bool {
        self.method.is_some_and(|m| m.repeatable)
    }

    /// How the upstream's tasks are treated.
    #[must_use]
    pub fn tasks(&self) -> Tasks {
        self.tasks
    }

    /// The upstream's id of the one task that the method acts on.
    #[must_use]
    pub fn task(&self) -> Option<&str> {
        let acts = self.method.is_some_and(|m| m.rule == Rule::Task);
        let target = self.known_tasks.iter().find(|task| task.is_target);
        target.filter(|_| acts).map(|task| task.id.as_str())
    }

    /// Whether the answer has to be read before the caller may have it.
    #[must_use]
    pub fn changes_answer(&self) -> bool {
        let may_name_tasks = self.tool.is_some() || !self.known_tasks.is_empty();
        self.is_get
            || self.filter() != Filter::Nothing
            || (self.tasks == Tasks::Sealed && may_name_tasks)
    }

    /// Whether the answer may name things that the caller must not see.
    #[must_use]
    pub fn hides(&self) -> bool {
        self.is_get || matches!(self.filter(), Filter::List(_))
    }

    /// The task that the request names with this id of the upstream: the first, where it names it
    /// twice.
    #[must_use]
    pub fn known_task(&self, id: &str) -> Option<&KnownTask> {
        let at = self.known_tasks.partition_point(|task| *task.id < *id);
        self.known_tasks.get(at).filter(|task| task.id == id)
    }

    /// Whether the caller may see this in a list: the same judgement as for its use, but for
    /// [`Self::pins`]. What a tool is now, the list itself says.
    #[must_use]
    pub fn may_see(&self, target: Target<'_>) -> bool {
        self.may_see_at(target, self.now)
    }

    /// The same at another moment: a stream without an end is not judged for all time.
    #[must_use]
    pub fn may_see_at(&self, target: Target<'_>, now: UnixSeconds) -> bool {
        let upstream = &*self.upstream;
        let question = Question { upstream, target, now, call: None, pins: None };
        self.principal.judge(&question, &mut NoTrace).passes()
    }

    /// Whether a stream without an end would be refused if it were asked for at the moment `now`.
    #[must_use]
    pub fn is_refused_at(&self, now: UnixSeconds) -> bool {
        self.rests_on.iter().any(|(kind, name)| {
            let target = Target { kind: *kind, name };
            let (upstream, pins) = (&*self.upstream, self.pins.as_deref());
            let question = Question { upstream, target, now, call: None, pins };
            !self.principal.judge(&question, &mut NoTrace).passes()
        })
    }

    /// The upstream's tools as they were approved, where they are pinned.
    #[must_use]
    pub fn pins(&self) -> Option<&Pins> {
        self.pins.as_deref()
    }

    /// Whom an upstream may tell apart from others: it knows a caller by user and organization, and
    /// clients of one era from those of the other.
    #[must_use]
    pub fn asker(&self) -> Mark {
        let era = match self.era {
            Era::Legacy => "legacy",
            Era::Modern => "modern",
        };
        let (user, organization) = (self.principal.user(), self.principal.organization());
        Mark::of(&[organization.as_str(), user.as_str(), era])
    }

    /// The source of a list of tools in the answer, with this cursor of a further page; `None`
    /// where it is no list about tools: what a tool answers may look like one.
    #[must_use]
    pub fn source(&self, next: Option<&str>) -> Option<Source> {
        match self.filter() {
            _ if self.is_get => Some(Source::Replay),
            Filter::List(TargetKind::Tool) => {
                let next = next.map(|next| Mark::of(&[next]));
                Some(Source::Answer(Page { cursor: self.cursor, next, began: self.began }))
            }
            _ => None,
        }
    }

    /// True where the answer is the whole list or its first page.
    #[must_use]
    pub fn is_from_the_beginning(&self) -> bool {
        matches!(self.cursor, Cursor::Beginning)
    }

    /// The rule that permits what the request acts on.
    #[must_use]
    pub fn rule(&self) -> Option<&ConfigRule> {
        self.judged.as_ref().and_then(|judged| judged.rule.as_ref())
    }

    /// What the policy said about what the request acts on, to be kept for the record.
    #[must_use]
    pub fn take_judged(&mut self) -> Option<Judged> {
        self.judged.take()
    }

    /// Why it would have been refused, if the rule were not only tried out.
    #[must_use]
    pub fn would_be_refused(&self) -> Option<&Judged> {
        self.judged.as_ref().filter(|judged| judged.permission != Permission::Allowed)
    }
}
