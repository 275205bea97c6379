//! Stopping while a server is mute.

use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;

use ureq::Agent;

use super::retry::SLICE;
use crate::interrupt::Interrupt;

/// A thread that shuts an agent's connections down once a stop is asked for; it ends when this is dropped.
pub struct Watch {
    _alive: Sender<()>,
}

impl Watch {
    pub fn over(agent: &Agent, interrupt: &Interrupt) -> Self {
        let (alive, dropped) = mpsc::channel();
        let (agent, interrupt) = (agent.clone(), interrupt.clone());
        let watch = move || {
            while dropped.recv_timeout(SLICE) == Err(RecvTimeoutError::Timeout) {
                if interrupt.requested() {
                    return agent.shutdown();
                }
            }
        };
        // Without the thread a stop is heard when the server speaks, or has been mute for too long.
        let _ = thread::Builder::new().spawn(watch);
        Self { _alive: alive }
    }
}
