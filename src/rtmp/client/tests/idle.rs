//! A connection that asks for nothing: accepted, then silent but for answers.

use super::*;
use crate::rtmp::client::Step;
use crate::rtmp::message::UserControl;

fn idle() -> ClientConfig {
    ClientConfig::idle(&Address::parse("rtmp://h/live/cam").unwrap())
}

#[test]
fn an_idle_connection_asks_for_nothing_and_answers_pings() {
    let script = Script::connected().control(Control::User(UserControl::PingRequest(7)));
    let mut run = same_at_every_split(&idle(), &script);
    assert_eq!(run.events, ["Connected { trace: None, caps_ex: None }"]);
    let sent = run.sent();
    assert_eq!(sent.len(), 3, "{sent:?}");
    assert_eq!(sent[0], "SetChunkSize(60000)");
    assert!(sent[1].starts_with("@0 connect 1 {app=live"), "{sent:?}");
    assert_eq!(sent[2], "User(PingResponse(7))");
}

#[test]
fn an_idle_connection_waits_for_ever_and_reports_its_end() {
    let mut run = Run::of(idle(), &Script::connected());
    assert_eq!(run.session.next_timeout(), Millis::NEVER);
    assert_eq!(run.session.step(), Step::Ready);
    let end = Script(Vec::new()).status(0, "error", "NetConnection.Connect.Closed");
    run.feed(&end.0, Millis(0));
    assert!(run.events[2].starts_with("ended: "), "{:?}", run.events);
    run.session.stop();
    assert_eq!(run.session.step(), Step::Over);
}
