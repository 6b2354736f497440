//! Every processor and connector: what comes in goes out, is refused, or is accounted for.

use std::time::{Duration, SystemTime};

use catchment_pipeline::batch::{Batch, Signal};
use catchment_pipeline::component::{Context, Offers, Out, Relay, Stage};
use catchment_pipeline::config::Section;

use crate::data::batch;

/// Items of what a relay put out.
fn items(out: &mut Out) -> usize {
    out.take().iter().map(|(batch, _)| batch.items()).sum()
}

/// `incoming + put_in == outgoing + taken_out + held`.
fn check_accounts(what: &str, context: &Context, incoming: usize, outgoing: usize) {
    let sum = |reasons: std::collections::BTreeMap<&'static str, u64>| reasons.values().sum::<u64>() as usize;
    let (taken_out, put_in) = (sum(context.tally.taken_out()), sum(context.tally.all_put_in()));
    let held = context.tally.held() as usize;
    assert_eq!(
        incoming + put_in,
        outgoing + taken_out + held,
        "{what}: {incoming} in, {outgoing} out, {:?}",
        context.tally
    );
}

#[test]
fn nothing_disappears() {
    for spec in catchment_processors::SPECS {
        let plan = (spec.plan)(&mut Section::parse(crate::example("processor", spec.kind)));
        for signal in spec.signals {
            let context = crate::context(spec.kind, Offers::default());
            match plan.build(context.clone()).unwrap() {
                Stage::Group(_) => {}
                Stage::Relay(mut relay) => check_relay(spec.kind, &context, &mut *relay, *signal),
                Stage::Transform(mut processor) => {
                    let (mut incoming, mut outgoing) = (0, 0);
                    for items in [1, 7, 1000] {
                        let mut out = Vec::new();
                        let outcome = processor.process(batch(*signal, items), SystemTime::now(), &mut out);
                        let passed: usize = out.iter().map(Batch::items).sum();
                        assert!(out.iter().all(|batch| batch.signal() == *signal), "{}", spec.kind);
                        match outcome {
                            Ok(()) => (incoming, outgoing) = (incoming + items, outgoing + passed),
                            Err(_) => assert_eq!(passed, 0, "{} refused and passed something on", spec.kind),
                        }
                        check_accounts(spec.kind, &context, incoming, outgoing);
                    }
                }
            }
        }
    }
    for spec in catchment_processors::CONNECTORS {
        let plan = (spec.plan)(&mut Section::parse(crate::example("connector", spec.kind)));
        for signal in spec.signals {
            assert!(!plan.puts_out(*signal).is_empty(), "{}", spec.kind);
            let context = crate::context(spec.kind, Offers::default());
            check_relay(spec.kind, &context, &mut *plan.build(context.clone()).unwrap(), *signal);
        }
    }
}

/// Through batches, ticks, a restart from what was saved, and its end.
fn check_relay(kind: &str, context: &Context, relay: &mut dyn Relay, signal: Signal) {
    let (mut incoming, mut outgoing, mut out) = (0, 0, Out::default());
    let mut now = SystemTime::now();
    for size in [1, 7, 1000] {
        incoming += size;
        relay.process(batch(signal, size), now, &mut out);
        outgoing += items(&mut out);
        check_accounts(kind, context, incoming, outgoing);
        now += Duration::from_secs(1);
        if relay.due().is_some_and(|due| due <= now) {
            relay.tick(now, &mut out);
            outgoing += items(&mut out);
            check_accounts(kind, context, incoming, outgoing);
        }
    }
    relay.finish(now, &mut out);
    outgoing += items(&mut out);
    check_accounts(kind, context, incoming, outgoing);
    assert_eq!(context.tally.held(), 0, "{kind} holds something back at its end");
}

/// What is saved and restored goes on as if nothing had been: as many items come out.
#[test]
fn a_stage_that_remembers_goes_on_from_what_it_saved() {
    for spec in catchment_processors::SPECS {
        let plan = (spec.plan)(&mut Section::parse(crate::example("processor", spec.kind)));
        let build = || match plan.build(crate::context(spec.kind, Offers::default())).unwrap() {
            Stage::Relay(relay) => Some(relay),
            _ => None,
        };
        spec.signals.iter().for_each(|signal| check_restored(spec.kind, &build, *signal));
    }
    for spec in catchment_processors::CONNECTORS {
        let plan = (spec.plan)(&mut Section::parse(crate::example("connector", spec.kind)));
        let build = || plan.build(crate::context(spec.kind, Offers::default())).ok();
        spec.signals.iter().for_each(|signal| check_restored(spec.kind, &build, *signal));
    }
}

fn check_restored(kind: &str, build: &dyn Fn() -> Option<Box<dyn Relay>>, signal: Signal) {
    let (Some(mut whole), Some(mut before), Some(mut after)) = (build(), build(), build()) else { return };
    let now = SystemTime::now();
    let later = now + Duration::from_secs(1);
    let (mut expect, mut got) = (Out::default(), Out::default());
    let (first, second) = (batch(signal, 40), batch(signal, 60));
    whole.process(first.clone(), now, &mut expect);
    whole.process(second.clone(), later, &mut expect);
    whole.finish(later, &mut expect);
    before.process(first, now, &mut got);
    let mut state = Vec::new();
    before.save(&mut state);
    after.restore(&state).unwrap();
    after.process(second, later, &mut got);
    after.finish(later, &mut got);
    assert_eq!(items(&mut got), items(&mut expect), "{kind}");
    for cut in (0..state.len()).step_by(state.len() / 50 + 1) {
        // Damage is an error or a smaller state, never a panic.
        let _ = build().map(|mut relay| relay.restore(&state[..cut]));
    }
}

#[test]
fn each_instance_is_its_own() {
    for spec in catchment_processors::SPECS {
        let plan = (spec.plan)(&mut Section::parse(crate::example("processor", spec.kind)));
        for _ in 0..3 {
            plan.build(crate::context(spec.kind, Offers::default())).unwrap();
        }
    }
}
