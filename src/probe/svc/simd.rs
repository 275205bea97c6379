//! Eight f64 lanes on several instruction sets, chosen at run time, with the same bits on all of them.
//!
//! Loops are written once over [`Simd`]. Every operation but one is a single IEEE operation per lane, and none depends
//! on the vector width; the one, [`Simd::estimate_div`], only chooses what is looked at closely. So results are equal by
//! construction. `multiversion!` compiles a loop for each instruction set; [`Level`] says which copy runs. On `AArch64`,
//! NEON belongs to the base set, so the compiler builds [`Base`] of it.
//!
//! A loop is compiled for an instruction set only where it is inlined into the function that `multiversion!` makes for
//! it. So everything between that function and a [`Simd`] operation is `#[inline(always)]`, and none of it is a closure.

#[cfg(target_arch = "x86_64")]
#[allow(
    clippy::wildcard_imports,
    reason = "some fifty intrinsics; the lint is silent in test builds, so it cannot be expected"
)]
use std::arch::x86_64::*;

/// Number of lanes of a vector. Rows of matrices are padded to a multiple of it.
pub const LANES: usize = 8;

/// The vectors of a slice.
#[inline(always)]
pub fn lanes<T>(values: &[T]) -> std::slice::Iter<'_, [T; LANES]> {
    values.as_chunks::<LANES>().0.iter()
}

/// Operations on eight f64 lanes. A value of an implementing type is proof that the CPU has the instructions.
pub trait Simd: Copy {
    /// Eight lanes.
    type V: Copy;
    /// Whether sixteen vectors fit into the registers, and some more.
    const HAS_MANY_REGISTERS: bool;

    /// All lanes `x`.
    fn splat(self, x: f64) -> Self::V;
    /// Reads eight lanes.
    fn load(self, from: &[f64; LANES]) -> Self::V;
    /// Reads eight f32 and widens them.
    fn load_f32(self, from: &[f32; LANES]) -> Self::V;
    /// Writes eight lanes.
    fn store(self, v: Self::V, to: &mut [f64; LANES]);
    /// Rounds eight lanes to f32 and writes them.
    fn store_f32(self, v: Self::V, to: &mut [f32; LANES]);
    /// Swaps rows and columns.
    fn transpose_f32(self, block: [[f32; LANES]; LANES]) -> [[f32; LANES]; LANES];
    /// a + b
    fn add(self, a: Self::V, b: Self::V) -> Self::V;
    /// a - b
    fn sub(self, a: Self::V, b: Self::V) -> Self::V;
    /// a · b
    fn mul(self, a: Self::V, b: Self::V) -> Self::V;
    /// a / b
    fn div(self, a: Self::V, b: Self::V) -> Self::V;
    /// sum + a · b for factors whose product is exact in f64, so that one rounding and two are the same.
    fn add_exact_product(self, sum: Self::V, a: Self::V, b: Self::V) -> Self::V;
    /// `if a > b { a } else { b }`
    fn larger(self, a: Self::V, b: Self::V) -> Self::V;
    /// `if a < b { a } else { b }`
    fn smaller(self, a: Self::V, b: Self::V) -> Self::V;
    /// `if a > b { yes } else { no }`
    fn if_greater(self, a: Self::V, b: Self::V, yes: Self::V, no: Self::V) -> Self::V;
    /// The lanes where a >= b, the first in the lowest bit.
    fn at_least(self, a: Self::V, b: Self::V) -> u8;
    /// About a / b, within one part in 2^13, for normal numbers. The one operation whose bits depend on the instruction
    /// set: only for what an exact operation confirms.
    fn estimate_div(self, a: Self::V, b: Self::V) -> Self::V;
    /// |magnitude| with the sign of `sign`.
    fn copysign(self, magnitude: Self::V, sign: Self::V) -> Self::V;
    /// 2^k, k being the number in the low bits of x, for -1022 <= k <= 1023.
    fn power_of_two(self, x: Self::V) -> Self::V;

    /// The lanes as an array.
    #[inline(always)]
    fn to_array(self, v: Self::V) -> [f64; LANES] {
        let mut array = [0.0; LANES];
        self.store(v, &mut array);
        array
    }

    /// The largest lane of numbers.
    #[inline(always)]
    fn largest_lane(self, v: Self::V) -> f64 {
        let mut lanes = self.to_array(v);
        for half in [4, 2, 1] {
            for lane in 0..half {
                if lanes[lane + half] > lanes[lane] {
                    lanes[lane] = lanes[lane + half];
                }
            }
        }
        lanes[0]
    }
}

/// Arrays, which the compiler turns into the vectors of the base instruction set.
#[derive(Clone, Copy)]
pub struct Base;

/// Bits of the exponent of 1.
const EXPONENT_OF_ONE: u64 = 1023 << 52;

#[inline(always)]
fn zip<const N: usize>(a: [f64; N], b: [f64; N], f: impl Fn(f64, f64) -> f64) -> [f64; N] {
    std::array::from_fn(|lane| f(a[lane], b[lane]))
}

/// Implements [`Simd`] by one expression per operation, within what the macro `$place` puts around each.
macro_rules! simd {
    ($(#[$meta:meta])* $token:ident, $v:ty, $has_many_registers:literal, $place:ident, { $($name:ident($($arg:ident: $ty:ty),*) $(-> $ret:ty)? = $body:expr;)* }) => {
        $(#[$meta])*
        impl Simd for $token {
            type V = $v;
            const HAS_MANY_REGISTERS: bool = $has_many_registers;

            $(
                #[inline(always)]
                fn $name(self, $($arg: $ty),*) $(-> $ret)? {
                    $place!($body)
                }
            )*
        }
    };
}

/// An operation as it is.
macro_rules! plain {
    ($body:expr) => {
        $body
    };
}

/// An operation by vector instructions.
#[cfg(target_arch = "x86_64")]
macro_rules! by_intrinsics {
    ($body:expr) => {
        // SAFETY: a token is only made where the CPU was found to have the instructions; reads and writes go through
        // references to arrays of eight values, and need no alignment.
        unsafe { $body }
    };
}

type Array = [f64; LANES];
type Block = [[f32; LANES]; LANES];

simd!(#[expect(clippy::cast_possible_truncation, reason = "the rounding is the point")] Base, Array, false, plain, {
    splat(x: f64) -> Array = [x; LANES];
    load(from: &Array) -> Array = *from;
    load_f32(from: &[f32; LANES]) -> Array = from.map(f64::from);
    store(v: Array, to: &mut Array) = *to = v;
    store_f32(v: Array, to: &mut [f32; LANES]) = *to = v.map(|x| x as f32);
    transpose_f32(block: Block) -> Block = std::array::from_fn(|i| std::array::from_fn(|j| block[j][i]));
    add(a: Array, b: Array) -> Array = zip(a, b, |a, b| a + b);
    sub(a: Array, b: Array) -> Array = zip(a, b, |a, b| a - b);
    mul(a: Array, b: Array) -> Array = zip(a, b, |a, b| a * b);
    div(a: Array, b: Array) -> Array = zip(a, b, |a, b| a / b);
    add_exact_product(sum: Array, a: Array, b: Array) -> Array = zip(sum, zip(a, b, |a, b| a * b), |a, b| a + b);
    larger(a: Array, b: Array) -> Array = zip(a, b, |a, b| if a > b { a } else { b });
    smaller(a: Array, b: Array) -> Array = zip(a, b, |a, b| if a < b { a } else { b });
    if_greater(a: Array, b: Array, yes: Array, no: Array) -> Array =
        std::array::from_fn(|lane| if a[lane] > b[lane] { yes[lane] } else { no[lane] });
    at_least(a: Array, b: Array) -> u8 =
        (0..LANES).fold(0, |bits, lane| bits | u8::from(a[lane] >= b[lane]) << lane);
    estimate_div(a: Array, b: Array) -> Array = zip(a, b, |a, b| a / b);
    copysign(magnitude: Array, sign: Array) -> Array = zip(magnitude, sign, f64::copysign);
    power_of_two(x: Array) -> Array = x.map(|x| f64::from_bits((x.to_bits() << 52).wrapping_add(EXPONENT_OF_ONE)));
});

/// AVX-512 F, BW, DQ and VL.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Avx512(());

#[cfg(target_arch = "x86_64")]
simd!(#[expect(unsafe_code, reason = "vector instructions")] Avx512, __m512d, true, by_intrinsics, {
    splat(x: f64) -> __m512d = _mm512_set1_pd(x);
    load(from: &[f64; LANES]) -> __m512d = _mm512_loadu_pd(from.as_ptr());
    load_f32(from: &[f32; LANES]) -> __m512d = _mm512_cvtps_pd(_mm256_loadu_ps(from.as_ptr()));
    store(v: __m512d, to: &mut [f64; LANES]) = _mm512_storeu_pd(to.as_mut_ptr(), v);
    store_f32(v: __m512d, to: &mut [f32; LANES]) = _mm256_storeu_ps(to.as_mut_ptr(), _mm512_cvtpd_ps(v));
    transpose_f32(block: Block) -> Block = transpose_by_avx(&block);
    add(a: __m512d, b: __m512d) -> __m512d = _mm512_add_pd(a, b);
    sub(a: __m512d, b: __m512d) -> __m512d = _mm512_sub_pd(a, b);
    mul(a: __m512d, b: __m512d) -> __m512d = _mm512_mul_pd(a, b);
    div(a: __m512d, b: __m512d) -> __m512d = _mm512_div_pd(a, b);
    add_exact_product(sum: __m512d, a: __m512d, b: __m512d) -> __m512d = _mm512_fmadd_pd(a, b, sum);
    larger(a: __m512d, b: __m512d) -> __m512d = _mm512_max_pd(a, b);
    smaller(a: __m512d, b: __m512d) -> __m512d = _mm512_min_pd(a, b);
    if_greater(a: __m512d, b: __m512d, yes: __m512d, no: __m512d) -> __m512d =
        _mm512_mask_blend_pd(_mm512_cmp_pd_mask::<_CMP_GT_OQ>(a, b), no, yes);
    at_least(a: __m512d, b: __m512d) -> u8 = _mm512_cmp_pd_mask::<_CMP_GE_OQ>(a, b);
    estimate_div(a: __m512d, b: __m512d) -> __m512d = _mm512_mul_pd(a, _mm512_rcp14_pd(b));
    copysign(magnitude: __m512d, sign: __m512d) -> __m512d = {
        let mask = _mm512_set1_pd(-0.0);
        _mm512_or_pd(_mm512_andnot_pd(mask, magnitude), _mm512_and_pd(mask, sign))
    };
    power_of_two(x: __m512d) -> __m512d = _mm512_castsi512_pd(_mm512_add_epi64(
        _mm512_slli_epi64::<52>(_mm512_castpd_si512(x)),
        _mm512_set1_epi64(EXPONENT_OF_ONE.cast_signed()),
    ));
});

/// Swaps the rows and columns of a block: of pairs of rows, of quarters, of halves.
#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code, reason = "vector instructions")]
#[target_feature(enable = "avx")]
#[inline]
fn transpose_by_avx(block: &Block) -> Block {
    // SAFETY: reads and writes go through references to arrays of eight values, and need no alignment.
    let load = |i: usize| unsafe { _mm256_loadu_ps(block[i].as_ptr()) };
    let mut transposed = [[0.0; LANES]; LANES];
    for half in 0..2 {
        // Rows 0 … 3 and 4 … 7 side by side.
        let quarter = |i: usize| {
            let (low, high) = (load(i), load(i + 4));
            if half == 0 {
                _mm256_permute2f128_ps::<0x20>(low, high)
            } else {
                _mm256_permute2f128_ps::<0x31>(low, high)
            }
        };
        let rows = [quarter(0), quarter(1), quarter(2), quarter(3)];
        let pairs = [
            _mm256_unpacklo_ps(rows[0], rows[1]),
            _mm256_unpackhi_ps(rows[0], rows[1]),
            _mm256_unpacklo_ps(rows[2], rows[3]),
            _mm256_unpackhi_ps(rows[2], rows[3]),
        ];
        let columns = [
            _mm256_shuffle_ps::<0x44>(pairs[0], pairs[2]),
            _mm256_shuffle_ps::<0xee>(pairs[0], pairs[2]),
            _mm256_shuffle_ps::<0x44>(pairs[1], pairs[3]),
            _mm256_shuffle_ps::<0xee>(pairs[1], pairs[3]),
        ];
        for (column, out) in columns.into_iter().zip(&mut transposed[4 * half..]) {
            // SAFETY: as above.
            unsafe { _mm256_storeu_ps(out.as_mut_ptr(), column) };
        }
    }
    transposed
}

/// AVX2 and FMA.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Avx2(());

/// Two vectors of four lanes.
#[cfg(target_arch = "x86_64")]
type Pair = [__m256d; 2];

#[cfg(target_arch = "x86_64")]
simd!(#[expect(unsafe_code, reason = "vector instructions")] Avx2, Pair, false, by_intrinsics, {
    splat(x: f64) -> Pair = [_mm256_set1_pd(x); 2];
    load(from: &[f64; LANES]) -> Pair =
        [_mm256_loadu_pd(from.as_ptr()), _mm256_loadu_pd(from[4..].as_ptr())];
    load_f32(from: &[f32; LANES]) -> Pair = [
        _mm256_cvtps_pd(_mm_loadu_ps(from.as_ptr())),
        _mm256_cvtps_pd(_mm_loadu_ps(from[4..].as_ptr())),
    ];
    store(v: Pair, to: &mut [f64; LANES]) = {
        _mm256_storeu_pd(to.as_mut_ptr(), v[0]);
        _mm256_storeu_pd(to[4..].as_mut_ptr(), v[1]);
    };
    store_f32(v: Pair, to: &mut [f32; LANES]) = {
        _mm_storeu_ps(to.as_mut_ptr(), _mm256_cvtpd_ps(v[0]));
        _mm_storeu_ps(to[4..].as_mut_ptr(), _mm256_cvtpd_ps(v[1]));
    };
    transpose_f32(block: Block) -> Block = transpose_by_avx(&block);
    add(a: Pair, b: Pair) -> Pair = [_mm256_add_pd(a[0], b[0]), _mm256_add_pd(a[1], b[1])];
    sub(a: Pair, b: Pair) -> Pair = [_mm256_sub_pd(a[0], b[0]), _mm256_sub_pd(a[1], b[1])];
    mul(a: Pair, b: Pair) -> Pair = [_mm256_mul_pd(a[0], b[0]), _mm256_mul_pd(a[1], b[1])];
    div(a: Pair, b: Pair) -> Pair = [_mm256_div_pd(a[0], b[0]), _mm256_div_pd(a[1], b[1])];
    add_exact_product(sum: Pair, a: Pair, b: Pair) -> Pair =
        [_mm256_fmadd_pd(a[0], b[0], sum[0]), _mm256_fmadd_pd(a[1], b[1], sum[1])];
    larger(a: Pair, b: Pair) -> Pair = [_mm256_max_pd(a[0], b[0]), _mm256_max_pd(a[1], b[1])];
    smaller(a: Pair, b: Pair) -> Pair = [_mm256_min_pd(a[0], b[0]), _mm256_min_pd(a[1], b[1])];
    if_greater(a: Pair, b: Pair, yes: Pair, no: Pair) -> Pair = [
        _mm256_blendv_pd(no[0], yes[0], _mm256_cmp_pd::<_CMP_GT_OQ>(a[0], b[0])),
        _mm256_blendv_pd(no[1], yes[1], _mm256_cmp_pd::<_CMP_GT_OQ>(a[1], b[1])),
    ];
    at_least(a: Pair, b: Pair) -> u8 = {
        let low = _mm256_movemask_pd(_mm256_cmp_pd::<_CMP_GE_OQ>(a[0], b[0]));
        let high = _mm256_movemask_pd(_mm256_cmp_pd::<_CMP_GE_OQ>(a[1], b[1]));
        u8::try_from(low | high << 4).unwrap_or(u8::MAX)
    };
    estimate_div(a: Pair, b: Pair) -> Pair = [_mm256_div_pd(a[0], b[0]), _mm256_div_pd(a[1], b[1])];
    copysign(magnitude: Pair, sign: Pair) -> Pair = {
        let mask = _mm256_set1_pd(-0.0);
        [
            _mm256_or_pd(_mm256_andnot_pd(mask, magnitude[0]), _mm256_and_pd(mask, sign[0])),
            _mm256_or_pd(_mm256_andnot_pd(mask, magnitude[1]), _mm256_and_pd(mask, sign[1])),
        ]
    };
    power_of_two(x: Pair) -> Pair = {
        let one = _mm256_set1_epi64x(EXPONENT_OF_ONE.cast_signed());
        [
            _mm256_castsi256_pd(_mm256_add_epi64(_mm256_slli_epi64::<52>(_mm256_castpd_si256(x[0])), one)),
            _mm256_castsi256_pd(_mm256_add_epi64(_mm256_slli_epi64::<52>(_mm256_castpd_si256(x[1])), one)),
        ]
    };
});

/// The instruction set that loops run on.
#[derive(Clone, Copy)]
pub enum Level {
    /// What every CPU has.
    Base(Base),
    /// AVX2 and FMA.
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
    /// AVX-512 F, BW, DQ and VL.
    #[cfg(target_arch = "x86_64")]
    Avx512(Avx512),
}

impl Level {
    /// All that this CPU has, the widest last.
    pub fn available() -> Vec<Self> {
        [
            Some(Self::Base(Base)),
            #[cfg(target_arch = "x86_64")]
            (is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"))
                .then_some(Self::Avx2(Avx2(()))),
            #[cfg(target_arch = "x86_64")]
            (is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512vl"))
            .then_some(Self::Avx512(Avx512(()))),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// The widest that this CPU has.
    pub fn widest() -> Self {
        Self::available().pop().unwrap_or(Self::Base(Base))
    }
}

/// Defines a function that takes a [`Level`] where its first argument, of the type `$S`, is a [`Simd`], and compiles its body
/// for each level.
macro_rules! multiversion {
    (
        $(#[$meta:meta])*
        $vis:vis fn $name:ident<$S:ident>($s:ident: $_:ident, $($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)? $body:block
    ) => {
        $(#[$meta])*
        $vis fn $name(level: $crate::probe::svc::simd::Level, $($arg: $ty),*) $(-> $ret)? {
            #[inline(always)]
            fn body<$S: $crate::probe::svc::simd::Simd>($s: $S, $($arg: $ty),*) $(-> $ret)? $body

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            fn avx2(simd: $crate::probe::svc::simd::Avx2, $($arg: $ty),*) $(-> $ret)? {
                body(simd, $($arg),*)
            }

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
            fn avx512(simd: $crate::probe::svc::simd::Avx512, $($arg: $ty),*) $(-> $ret)? {
                body(simd, $($arg),*)
            }

            match level {
                $crate::probe::svc::simd::Level::Base(simd) => body(simd, $($arg),*),
                #[cfg(target_arch = "x86_64")]
                #[expect(unsafe_code, reason = "a copy compiled for a wider instruction set")]
                // SAFETY: the token is proof that the CPU has the instruction set.
                $crate::probe::svc::simd::Level::Avx2(simd) => unsafe { avx2(simd, $($arg),*) },
                #[cfg(target_arch = "x86_64")]
                #[expect(unsafe_code, reason = "a copy compiled for a wider instruction set")]
                // SAFETY: the token is proof that the CPU has the instruction set.
                $crate::probe::svc::simd::Level::Avx512(simd) => unsafe { avx512(simd, $($arg),*) },
            }
        }
    };
}

pub(super) use multiversion;
