//! Variables that are left out of the selection for a while.

use super::Smo;
use super::selection::Violation;
use crate::probe::svc::simd::{LANES, Simd, lanes};

/// Changes of `v_bar` that may wait.
const MOST_NOTES: usize = 4096;

impl<S: Simd> Smo<'_, S> {
    /// Notes that `v_bar` changes by `change` times row `t`. Nothing asks for it before variables are shrunk, which in
    /// most fits never happens.
    #[inline(always)]
    pub fn note_for_bar(&mut self, t: usize, change: f64) {
        if self.notes.len() == MOST_NOTES {
            self.update_bar();
        }
        self.notes.push((t, change));
    }

    /// Makes the changes of `v_bar` that were noted, in their order.
    #[inline(always)]
    fn update_bar(&mut self) {
        for note in 0..self.notes.len() {
            let (t, change) = self.notes[note];
            self.add_to_bar(t, change);
        }
        self.notes.clear();
    }

    #[inline(always)]
    fn add_to_bar(&mut self, t: usize, change: f64) {
        subtract(self.s, self.v_bar, self.dual.kernel_row(t), change);
    }

    /// Computes v of the inactive variables afresh and opens all to the selection.
    #[inline(always)]
    pub fn activate_all(&mut self) {
        if self.n_active == self.dual.n {
            return;
        }
        self.update_bar();
        let (s, dual) = (self.s, self.dual);
        let (active, inactive) = self.order.split_at(self.n_active);
        // Of all variables, which costs less than to pick the inactive ones row by row.
        let fresh = &mut *self.gain;
        fresh.copy_from_slice(self.v_bar);
        for (t, v) in fresh[..dual.n].iter_mut().enumerate() {
            *v += dual.y(t);
        }
        for &row in active {
            let alpha = self.alpha[row];
            if alpha <= 0.0 || alpha >= dual.c_of(row) {
                continue;
            }
            subtract(s, fresh, dual.kernel_row(row), dual.y(row) * alpha);
        }
        for &t in inactive {
            self.v[t] = fresh[t];
        }
        for place in self.n_active..self.dual.n {
            self.open(self.order[place]);
        }
        self.n_active = self.dual.n;
    }

    /// Takes variables at a bound that are likely to stay there out of the selection.
    #[inline(always)]
    pub fn shrink(&mut self, violation: Violation) {
        if !self.unshrunk && violation.up + violation.low <= self.dual.params.tol * 10.0 {
            self.unshrunk = true;
            self.activate_all();
        }
        let mut place = 0;
        while place < self.n_active {
            if self.is_settled(self.order[place], violation) {
                self.n_active -= 1;
                // The last active variable that is not settled takes the place.
                while self.n_active > place {
                    if !self.is_settled(self.order[self.n_active], violation) {
                        self.swap(place, self.n_active);
                        break;
                    }
                    self.n_active -= 1;
                }
            }
            place += 1;
        }
        for place in self.n_active..self.dual.n {
            self.close(self.order[place]);
        }
    }

    /// Says whether a variable at a bound would not move, however the violation is resolved.
    fn is_settled(&self, t: usize, violation: Violation) -> bool {
        match self.directions(t) {
            (true, false) => -self.v[t] > violation.low,
            (false, true) => self.v[t] > violation.up,
            _ => false,
        }
    }

    fn swap(&mut self, a: usize, b: usize) {
        self.order.swap(a, b);
        self.place[self.order[a]] = a;
        self.place[self.order[b]] = b;
    }
}

/// Subtracts `factor` times a row of K.
#[inline(always)]
fn subtract<S: Simd>(s: S, from: &mut [f64], kernel: &[f32], factor: f64) {
    let factor = s.splat(factor);
    for (v, kernel) in from
        .as_chunks_mut::<LANES>()
        .0
        .iter_mut()
        .zip(lanes(kernel))
    {
        s.store(s.sub(s.load(v), s.mul(s.load_f32(kernel), factor)), v);
    }
}
