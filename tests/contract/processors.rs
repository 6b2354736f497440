//! Every processor: what comes in goes out, is refused, or is counted as taken out.

use std::time::SystemTime;

use catchment_pipeline::batch::Batch;
use catchment_pipeline::component::{Offers, Stage};
use catchment_pipeline::config::Section;

use crate::data::batch;

#[test]
fn nothing_disappears() {
    for spec in catchment_processors::SPECS {
        let plan = (spec.plan)(&mut Section::parse(crate::example("processor", spec.kind)));
        let context = crate::context(spec.kind, Offers::default());
        let tally = context.tally.clone();
        let Stage::Transform(mut processor) = plan.build(context).unwrap() else { continue };
        let counted = |of: std::collections::BTreeMap<&str, u64>| of.values().sum::<u64>() as usize;
        for signal in spec.signals {
            for items in [1, 7, 1000] {
                let before = (counted(tally.taken_out()), counted(tally.all_put_in()));
                let mut out = Vec::new();
                let outcome = processor.process(batch(*signal, items), SystemTime::now(), &mut out);
                let passed: usize = out.iter().map(Batch::items).sum();
                assert!(out.iter().all(|batch| batch.signal() == *signal), "{}", spec.kind);
                match outcome {
                    Ok(()) => {
                        let taken_out = counted(tally.taken_out()) - before.0;
                        let put_in = counted(tally.all_put_in()) - before.1;
                        assert_eq!(items + put_in, passed + taken_out, "{}", spec.kind);
                    }
                    Err(_) => assert_eq!(passed, 0, "{} refused and passed something on", spec.kind),
                }
            }
        }
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
