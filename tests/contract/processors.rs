//! Every processor: what comes in goes out or is refused.

use std::time::SystemTime;

use catchment_pipeline::batch::Batch;
use catchment_pipeline::component::{Offers, Stage};
use catchment_pipeline::config::Section;

use crate::data::batch;

#[test]
fn nothing_disappears() {
    for spec in catchment_processors::SPECS {
        let plan = (spec.plan)(&mut Section::parse(crate::example("processor", spec.kind)));
        let stage = plan.build(crate::context(spec.kind, Offers::default())).unwrap();
        let Stage::Transform(mut processor) = stage else { continue };
        for signal in spec.signals {
            for items in [1, 7, 1000] {
                let mut out = Vec::new();
                let outcome = processor.process(batch(*signal, items), SystemTime::now(), &mut out);
                let passed: usize = out.iter().map(Batch::items).sum();
                assert!(out.iter().all(|batch| batch.signal() == *signal), "{}", spec.kind);
                match outcome {
                    Ok(()) => assert_eq!(passed, items, "{}", spec.kind),
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
