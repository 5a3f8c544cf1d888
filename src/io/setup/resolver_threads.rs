//! The threads that ask the system's resolver, so that a stuck one holds up nothing else.
//!
//! At most [`THREADS`] serve the whole process; they are never joined (a stuck one must not hold up the exit) and end after a
//! while without work. Lookups of the same name at the same time are one.
//!
//! What most systems know without asking a server has a few threads of its own ([`Pools`]), or servers that do not answer
//! would hold it up. It is asked for in the same way, so that the order of the system's configuration holds.

use crate::io::setup::getaddrinfo;
use crate::io::setup::getaddrinfo::{Answer, Question, failure};
use crate::io::setup::hosts::Hosts;
use crate::io::sys::platform::c;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;

/// Most threads that wait for the system's resolver, and most for what asks no server.
const THREADS: usize = 16;
const LOCAL_THREADS: usize = 4;
/// A thread without work ends after this.
const IDLE: Duration = Duration::from_secs(10);

#[derive(Default)]
struct State {
    waiting: VecDeque<Question>,
    callers: HashMap<Question, Vec<oneshot::Sender<Answer>>>,
    idle: usize,
    threads: usize,
}

struct Pool {
    /// Most threads.
    most: usize,
    /// Leaf lock of callers and resolver threads; never held during a lookup.
    state: Mutex<State>,
    work: Condvar,
}

impl Pool {
    fn of(most: usize) -> Arc<Self> {
        Arc::new(Self {
            most,
            state: Mutex::default(),
            work: Condvar::new(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a question; true: the caller is to start a thread more, which is counted already.
    fn put(&self, question: Question, caller: oneshot::Sender<Answer>) -> bool {
        let mut state = self.lock();
        if let Some(callers) = state.callers.get_mut(&question) {
            callers.push(caller);
            return false;
        }
        state.callers.insert(question.clone(), vec![caller]);
        state.waiting.push_back(question);
        let start = state.idle < state.waiting.len() && state.threads < self.most;
        state.threads += usize::from(start);
        start
    }

    /// A thread could not be started. If there is no other, nobody will answer: the callers are told to try again.
    fn gave_up(&self) {
        let mut state = self.lock();
        state.threads -= 1;
        if state.threads > 0 {
            return;
        }
        state.waiting.clear();
        let callers = std::mem::take(&mut state.callers);
        drop(state);
        for (question, callers) in callers {
            let shown = question.shown();
            for caller in callers {
                let failure = failure(&shown, c::EAI_AGAIN, "can't start new thread");
                // A caller that gave up is no concern.
                let _ = caller.send(Err(failure));
            }
        }
    }
}

/// Who waits for whom: questions of one pool hold up no other's.
struct Pools {
    hosts: Hosts,
    /// What a server is asked for.
    remote: Arc<Pool>,
    /// What is in /etc/hosts.
    listed: Arc<Pool>,
    /// `localhost` and what is below it, where that is not in /etc/hosts: most systems know it all the same (RFC 6761).
    localhost: Arc<Pool>,
}

impl Pools {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            hosts: Hosts::default(),
            remote: Pool::of(THREADS),
            listed: Pool::of(LOCAL_THREADS),
            localhost: Pool::of(LOCAL_THREADS),
        })
    }

    fn of(&self, question: &Question) -> &Arc<Pool> {
        let table = self.hosts.table();
        match question {
            Question::Host(host, family) if table.knows(host, *family) => &self.listed,
            Question::Address(address) if table.names(address.ip()) => &self.listed,
            Question::Host(host, _) if is_localhost(host) => &self.localhost,
            Question::Host(..) | Question::Address(_) => &self.remote,
        }
    }
}

fn is_localhost(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    host == "localhost" || host.ends_with(".localhost")
}

/// The process that the pools' threads belong to, and the pools: a forked child starts with empty ones.
static POOLS: Mutex<Option<(u32, Arc<Pools>)>> = Mutex::new(None);

fn pools() -> Arc<Pools> {
    let me = std::process::id();
    let mut current = POOLS.lock().unwrap_or_else(PoisonError::into_inner);
    match &*current {
        Some((process, pools)) if *process == me => pools.clone(),
        _ => {
            let fresh = Pools::new();
            // The parent's are forgotten, not dropped: a lock may have been held when the process was forked.
            std::mem::forget(current.replace((me, fresh.clone())));
            fresh
        }
    }
}

/// Leaves the question to a thread. No answer comes if that fails.
pub(crate) fn ask(question: Question) -> oneshot::Receiver<Answer> {
    let (caller, answer) = oneshot::channel();
    let pool = pools().of(&question).clone();
    if pool.put(question, caller) {
        let served = pool.clone();
        let thread = std::thread::Builder::new().name("asynctcp-resolver".into());
        if thread
            .spawn(move || serve(&served, getaddrinfo::answer))
            .is_err()
        {
            pool.gave_up();
        }
    } else {
        pool.work.notify_one();
    }
    answer
}

/// A resolver thread's life; `answer` asks the system.
fn serve(pool: &Pool, answer: fn(&Question) -> Answer) {
    while let Some(question) = next_question(pool) {
        let answer = std::panic::catch_unwind(|| answer(&question));
        let callers = pool.lock().callers.remove(&question).unwrap_or_default();
        // After a panic the callers learn by their channels that there is no answer.
        let Ok(answer) = answer else { continue };
        for caller in callers {
            // A caller that gave up is no concern.
            let _ = caller.send(answer.clone());
        }
    }
}

/// None: there was nothing to do for a while, and the thread ends.
fn next_question(pool: &Pool) -> Option<Question> {
    let mut state = pool.lock();
    state.idle += 1;
    let nothing = |state: &mut State| state.waiting.is_empty();
    let waited = pool.work.wait_timeout_while(state, IDLE, nothing);
    state = waited.unwrap_or_else(PoisonError::into_inner).0;
    state.idle -= 1;
    let question = state.waiting.pop_front();
    state.threads -= usize::from(question.is_none());
    question
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::setup::getaddrinfo::Found;
    use tokio::sync::oneshot::error::TryRecvError;

    fn question(host: &str) -> Question {
        Question::Host(host.to_owned(), None)
    }

    /// A pool with one question and, as it believes, so many threads.
    fn asked(threads: usize) -> (Arc<Pool>, oneshot::Receiver<Answer>) {
        let (caller, answer) = oneshot::channel();
        let pool = Pool::of(THREADS);
        let mut state = pool.lock();
        state.threads = threads;
        state.waiting.push_back(question("host"));
        state.callers.insert(question("host"), vec![caller]);
        drop(state);
        (pool, answer)
    }

    #[test]
    fn each_question_has_a_thread_until_the_limit_and_then_waits() {
        let pool = Pool::of(THREADS);
        let put = |host: &str| pool.put(question(host), oneshot::channel().0);
        for number in 0..THREADS {
            assert!(put(&number.to_string()), "question {number}");
        }
        assert!(!put("one too many"));
        assert_eq!(pool.lock().threads, THREADS);
        assert_eq!(pool.lock().waiting.len(), THREADS + 1);
    }

    #[test]
    fn who_asks_the_same_and_who_finds_an_idle_thread_need_no_other() {
        let pool = Pool::of(THREADS);
        pool.lock().idle = 1;
        assert!(!pool.put(question("host"), oneshot::channel().0));
        assert!(!pool.put(question("host"), oneshot::channel().0));
        assert!(pool.put(question("other"), oneshot::channel().0));
        assert_eq!(pool.lock().callers[&question("host")].len(), 2);
        assert_eq!(pool.lock().threads, 1);
    }

    #[test]
    fn callers_are_told_when_no_thread_can_be_started_and_wait_while_there_is_another() {
        let (pool, mut answer) = asked(2);
        pool.gave_up();
        assert_eq!(answer.try_recv().unwrap_err(), TryRecvError::Empty);
        pool.gave_up();
        let failure = answer.try_recv().unwrap().unwrap_err();
        assert_eq!(
            (failure.code, failure.host.as_str()),
            (c::EAI_AGAIN, "host")
        );
        assert!(pool.lock().waiting.is_empty());
    }

    #[test]
    fn a_panic_while_looking_up_is_told_and_the_thread_lives() {
        let (pool, answer) = asked(1);
        let (caller, next) = oneshot::channel();
        pool.lock().waiting.push_back(question("next"));
        pool.lock().callers.insert(question("next"), vec![caller]);
        // It outlives the test, waiting for more.
        std::thread::spawn(move || {
            serve(&pool, |asked| {
                assert!(*asked == question("next"), "as the test wants");
                Ok(Found::Addresses(Vec::new()))
            });
        });
        assert!(answer.blocking_recv().is_err());
        assert!(matches!(next.blocking_recv(), Ok(Ok(_))));
    }

    #[test]
    fn localhost_has_threads_of_its_own() {
        let pools = Pools::new();
        for host in ["localhost.", "api.localhost", "A.LocalHost"] {
            assert!(
                Arc::ptr_eq(pools.of(&question(host)), &pools.localhost),
                "{host}"
            );
        }
        for host in ["notlocalhost", "localhost.example", "example.com"] {
            assert!(
                Arc::ptr_eq(pools.of(&question(host)), &pools.remote),
                "{host}"
            );
        }
    }
}
