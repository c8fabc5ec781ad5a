use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use parking_lot::Condvar;
use tokio::task::JoinHandle;

use super::*;

/// For what happens at once, on a machine that has much else to do.
const PATIENCE: Duration = Duration::from_secs(30);

const LONG: Duration = Duration::from_secs(600);
const NEVER: Duration = Duration::ZERO;

/// Whatever is known is too old to be used without a question, and is asked for at once.
const STALE: Times = Times { fresh: NEVER, oldest: LONG, grace: NEVER, pause: NEVER };

/// What a lookup does.
#[derive(Clone)]
enum Script {
    Finds(u8),
    FindsNothing,
    Fails,
    Panics,
    Hangs,
}

/// Lookups that do what they are told, and are counted.
struct Fake {
    script: Mutex<Script>,
    changed: Condvar,
    asked: AtomicUsize,
    at_work: AtomicUsize,
    most: AtomicUsize,
}

impl Fake {
    fn new(script: Script) -> Arc<Self> {
        Arc::new(Self {
            script: Mutex::new(script),
            changed: Condvar::new(),
            asked: AtomicUsize::default(),
            at_work: AtomicUsize::default(),
            most: AtomicUsize::default(),
        })
    }

    fn resolver(self: &Arc<Self>, times: Times) -> Arc<Resolver> {
        let fake = Arc::clone(self);
        Resolver::new(move |_| fake.look_up(), times)
    }

    fn look_up(&self) -> io::Result<Vec<SocketAddr>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        self.most.fetch_max(1 + self.at_work.fetch_add(1, Ordering::SeqCst), Ordering::SeqCst);
        let mut script = self.script.lock();
        while matches!(*script, Script::Hangs) {
            self.changed.wait(&mut script);
        }
        let script = script.clone();
        self.at_work.fetch_sub(1, Ordering::SeqCst);
        match script {
            Script::Finds(last) => Ok(vec![address(last)]),
            Script::FindsNothing => Ok(Vec::new()),
            Script::Fails => Err(io::Error::other("no such name")),
            Script::Panics => panic!("broken"),
            Script::Hangs => unreachable!(),
        }
    }

    fn follow(&self, script: Script) {
        *self.script.lock() = script;
        self.changed.notify_all();
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

fn address(last: u8) -> SocketAddr {
    (Ipv4Addr::new(192, 0, 2, last), 0).into()
}

/// Asks for the addresses, with all the patience of the world.
fn ask(name: &Arc<Name>) -> JoinHandle<Result<Addresses, Unresolved>> {
    let name = Arc::clone(name);
    tokio::spawn(async move { name.addresses(LONG).await })
}

/// The only address of a name, or why there is none.
async fn get(name: &Arc<Name>, patience: Duration) -> Result<SocketAddr, String> {
    let got = name.addresses(patience).await.map_err(|why| why.to_string())?;
    assert_eq!(got.len(), 1);
    Ok(got[0])
}

/// Returns as soon as it is so; a thread may need its time.
async fn until(what: impl Fn() -> bool) {
    let began = Instant::now();
    while !what() {
        assert!(began.elapsed() < PATIENCE, "it is still not so");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn all_who_ask_for_a_name_share_one_lookup() {
    let fake = Fake::new(Script::Hangs);
    let resolver = fake.resolver(TIMES);
    let asking: Vec<_> = (0..300).map(|_| ask(&resolver.name("a.example"))).collect();
    let name = resolver.name("a.example");
    until(|| name.waiting() == 300).await;
    assert_eq!(get(&name, NEVER).await, Err("the resolver does not answer".to_owned()));
    fake.follow(Script::Finds(1));
    for asking in asking {
        assert_eq!(asking.await.unwrap().unwrap()[..], [address(1)]);
    }
    assert_eq!(get(&name, NEVER).await, Ok(address(1)), "it is known");
    assert_eq!(fake.asked(), 1);
}

#[tokio::test]
async fn however_many_names_hang_the_number_of_lookups_is_bounded() {
    let fake = Fake::new(Script::Hangs);
    let resolver = fake.resolver(TIMES);
    let names: Vec<_> =
        (0..3 * MAX_LOOKUPS).map(|number| resolver.name(&format!("n{number}.example"))).collect();
    let asking: Vec<_> = names.iter().map(ask).collect();
    until(|| names.iter().all(|name| name.waiting() == 1)).await;
    until(|| fake.asked() == MAX_LOOKUPS).await;
    let crowded = get(names.last().unwrap(), NEVER).await.unwrap_err();
    assert_eq!(crowded, "32 lookups of other names do not end");
    fake.follow(Script::Finds(1));
    for asking in asking {
        assert_eq!(asking.await.unwrap().unwrap()[..], [address(1)]);
    }
    assert_eq!(fake.most.load(Ordering::SeqCst), MAX_LOOKUPS);
    until(|| resolver.work.lock().threads == 0).await;
    assert_eq!(get(&resolver.name("later.example"), LONG).await, Ok(address(1)));
}

#[tokio::test]
async fn a_name_that_nobody_uses_any_more_waits_for_no_thread() {
    let fake = Fake::new(Script::Hangs);
    let resolver = fake.resolver(TIMES);
    let hang: Vec<_> =
        (0..MAX_LOOKUPS).map(|number| resolver.name(&format!("n{number}.example"))).collect();
    let _asking: Vec<_> = hang.iter().map(ask).collect();
    until(|| fake.asked() == MAX_LOOKUPS).await;
    let gone = resolver.name("gone.example");
    assert!(get(&gone, NEVER).await.is_err());
    drop(gone);
    // Its lookup is under way: who comes again waits for the same one.
    let kept = Arc::downgrade(&hang[0]);
    assert!(Arc::ptr_eq(&resolver.name("n0.example"), &kept.upgrade().unwrap()));
    fake.follow(Script::Finds(1));
    until(|| resolver.work.lock().threads == 0).await;
    assert_eq!(fake.asked(), MAX_LOOKUPS);
    drop(hang);
    let is_forgotten = || {
        resolver.name("another.example");
        resolver.names.lock().len() == 1
    };
    until(is_forgotten).await;
}

#[tokio::test]
async fn the_old_address_is_used_while_there_is_no_newer_one() {
    for (script, why) in [
        (Script::Fails, "no such name"),
        (Script::FindsNothing, "the name has no address"),
        (Script::Panics, "the lookup broke off"),
        (Script::Hangs, "the resolver does not answer"),
    ] {
        let fake = Fake::new(Script::Finds(1));
        let resolver = fake.resolver(STALE);
        let name = resolver.name("a.example");
        assert_eq!(get(&name, LONG).await, Ok(address(1)));
        fake.follow(script.clone());
        for doubted in [false, true] {
            for _ in 0..3 {
                assert_eq!(get(&name, LONG).await, Ok(address(1)), "{why}");
            }
            if doubted {
                name.doubt();
            }
        }
        until(|| fake.asked() > 1).await;
        fake.follow(Script::Finds(2));
        // Who asks has the old one, and a newer one looked up.
        let began = Instant::now();
        while get(&name, LONG).await != Ok(address(2)) {
            assert!(began.elapsed() < PATIENCE, "{why}");
        }

        let never = Fake::new(script);
        let resolver = never.resolver(STALE);
        let patience = if why.contains("resolver") { NEVER } else { LONG };
        let got = get(&resolver.name("b.example"), patience).await;
        assert_eq!(got, Err(why.to_owned()), "without an old one there is none");
        never.follow(Script::Fails);
    }
}

#[tokio::test]
async fn an_address_that_is_too_old_is_not_used() {
    let fake = Fake::new(Script::Finds(1));
    let name = fake.resolver(Times { oldest: NEVER, ..STALE }).name("a.example");
    assert_eq!(get(&name, LONG).await, Ok(address(1)));
    fake.follow(Script::Fails);
    assert_eq!(get(&name, LONG).await, Err("no such name".to_owned()));
    fake.follow(Script::Finds(2));
    assert_eq!(get(&name, LONG).await, Ok(address(2)));
}

#[tokio::test]
async fn a_newer_address_is_waited_for_where_lookups_have_worked() {
    let fake = Fake::new(Script::Finds(1));
    let name = fake.resolver(Times { grace: LONG, ..STALE }).name("a.example");
    assert_eq!(get(&name, LONG).await, Ok(address(1)));
    fake.follow(Script::Hangs);
    let asking = ask(&name);
    until(|| name.waiting() == 1).await;
    assert_eq!(get(&name, NEVER).await, Ok(address(1)), "who is in a hurry has the old one");
    fake.follow(Script::Finds(2));
    assert_eq!(asking.await.unwrap().unwrap()[..], [address(2)]);
}

#[tokio::test]
async fn an_address_that_could_not_be_connected_to_is_looked_up_again() {
    let fake = Fake::new(Script::Finds(1));
    let name = fake.resolver(Times { pause: NEVER, ..TIMES }).name("a.example");
    assert_eq!(get(&name, LONG).await, Ok(address(1)));
    fake.follow(Script::Finds(2));
    assert_eq!(get(&name, LONG).await, Ok(address(1)), "it is fresh");
    name.doubt();
    assert_eq!(get(&name, LONG).await, Ok(address(2)));
    fake.follow(Script::Finds(3));
    assert_eq!(get(&name, LONG).await, Ok(address(2)), "it is fresh again");
}

#[tokio::test]
async fn between_two_lookups_of_a_name_there_is_a_pause() {
    let times = Times { pause: LONG, ..TIMES };
    for (script, got) in
        [(Script::Finds(1), Ok(address(1))), (Script::Fails, Err("no such name".to_owned()))]
    {
        let fake = Fake::new(script);
        let name = fake.resolver(times).name("a.example");
        for _ in 0..10 {
            assert_eq!(get(&name, LONG).await, got);
            name.doubt();
        }
        assert_eq!(fake.asked(), 1);
    }
}

#[test]
fn what_the_c_library_knows_without_a_network_is_found() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let got = runtime.block_on(Resolver::system().name("localhost").addresses(LONG)).unwrap();
    assert!(got.iter().all(|address| address.ip().is_loopback() && address.port() == 0));
    let name = Resolver::system().name("no-such-host.invalid");
    let why = runtime.block_on(name.addresses(LONG)).unwrap_err();
    assert!(matches!(why, Unresolved::Failed(_)), "{why}");
}
