//! The primes of RSA keys.
//!
//! Candidates come from `crypto-primes`, which also has the last word on each. In between stands a test of ours that
//! tells nearly all composites in a fraction of the time: it can waste a prime, but not let a composite pass.
//!
//! Without it a key of 2048 bits takes 1.6 times as long (0.10 s instead of 0.06 s), one of 4096 bits 1.2 times (0.98 s instead
//! of 0.83 s): 20 keys each, of the same seeds, with rsa 0.10.0 and crypto-primes 0.7.2 in a release build.
//!
//! A crate of its own, so that builds for development can optimise it alone: without that, a large key takes them seven
//! seconds.

use crypto_primes::hazmat::{SetBits, SmallFactorsSieveFactory};
use crypto_primes::{Flavor, is_prime, sieve_and_find};
use rsa::BoxedUint;
use rsa::rand_core::CryptoRng;

/// A random prime of `bits` bits of which the two highest are set; nothing if `crypto-primes` cannot make one, as it cannot
/// of very few bits.
pub fn random_prime(rng: &mut impl CryptoRng, bits: u32) -> Option<BoxedUint> {
    let sieve = SmallFactorsSieveFactory::new(Flavor::Any, bits, SetBits::TwoMsb).ok()?;
    let is_prime = |candidate: &BoxedUint| may_be_prime(candidate) && is_prime(Flavor::Any, candidate);
    sieve_and_find(rng, sieve, |_, candidate| is_prime(candidate)).ok().flatten()
}

/// Fermat's test to base 2, for the sizes of primes that keys of 2048 and 4096 bits have.
fn may_be_prime(candidate: &BoxedUint) -> bool {
    let bytes = candidate.to_le_bytes();
    match bytes.len() {
        128 => passes_fermat::<16>(&limbs(&bytes)),
        256 => passes_fermat::<32>(&limbs(&bytes)),
        _ => true,
    }
}

/// A number as limbs of 64 bits, the lowest first.
fn limbs<const N: usize>(bytes: &[u8]) -> [u64; N] {
    let (limbs, _) = bytes.as_chunks::<8>();
    let mut number = [0; N];
    for (limb, bytes) in number.iter_mut().zip(limbs) {
        *limb = u64::from_le_bytes(*bytes);
    }
    number
}

/// Whether 2^(n-1) is 1 modulo `n`, an odd number whose highest bit is set.
fn passes_fermat<const N: usize>(n: &[u64; N]) -> bool {
    let modulus = Modulus::new(n);
    // Montgomery's form of 1 is 2^(64 N) modulo n, and twice n is more than that.
    let mut one = [0; N];
    subtract(&mut one, n);
    let mut power = one;
    let bits = 64 * N;
    for bit in (0..bits).rev() {
        modulus.square(&mut power);
        // All bits of n - 1 are those of n, but for the lowest.
        if bit > 0 && n[bit / 64] >> (bit % 64) & 1 == 1 {
            modulus.double(&mut power);
        }
    }
    power == one
}

/// An odd number to compute modulo of, in Montgomery's form.
struct Modulus<'n, const N: usize> {
    n: &'n [u64; N],
    /// What makes the lowest limb vanish: -1/n modulo 2^64.
    factor: u64,
}

impl<'n, const N: usize> Modulus<'n, N> {
    fn new(n: &'n [u64; N]) -> Self {
        // Newton's iteration doubles the right bits each time: 3, 6, 12, 24, 48, 96.
        let inverse = (0..5).fold(n[0], |x, _| x.wrapping_mul(2_u64.wrapping_sub(n[0].wrapping_mul(x))));
        Self { n, factor: inverse.wrapping_neg() }
    }

    /// `x = x * x / 2^(64 N)` modulo n.
    fn square(&self, x: &mut [u64; N]) {
        let mut wide = [[0; N]; 2];
        square(x, wide.as_flattened_mut());
        let wide_limbs = wide.as_flattened_mut();
        let mut overflow = false;
        for at in 0..N {
            let factor = wide_limbs[at].wrapping_mul(self.factor);
            let carry = add_product(&mut wide_limbs[at..at + N], self.n, factor);
            let (sum, first) = wide_limbs[at + N].overflowing_add(carry);
            let (sum, second) = sum.overflowing_add(u64::from(overflow));
            wide_limbs[at + N] = sum;
            overflow = first || second;
        }
        *x = wide[1];
        self.reduce(x, overflow);
    }

    /// `x = 2 x` modulo n.
    fn double(&self, x: &mut [u64; N]) {
        let mut carry = 0;
        for limb in x.iter_mut() {
            (*limb, carry) = (*limb << 1 | carry, *limb >> 63);
        }
        self.reduce(x, carry == 1);
    }

    /// Takes n off a number below 2n, whose highest bit may have been lost.
    fn reduce(&self, x: &mut [u64; N], overflow: bool) {
        let mut less = *x;
        let borrow = subtract(&mut less, self.n);
        if overflow || !borrow {
            *x = less;
        }
    }
}

/// The square of `x`: the products of different limbs count twice.
fn square<const N: usize>(x: &[u64; N], into: &mut [u64]) {
    for at in 0..N {
        into[at + N] = add_product(&mut into[2 * at + 1..at + N], &x[at + 1..], x[at]);
    }
    let (mut shifted, mut carry) = (0, 0);
    for (pair, limb) in into.as_chunks_mut::<2>().0.iter_mut().zip(x) {
        let [low, high] = *pair;
        let product = u128::from(*limb) * u128::from(*limb);
        let doubled = u128::from(low << 1 | shifted) | u128::from(high << 1 | low >> 63) << 64;
        shifted = high >> 63;
        let (sum, first) = doubled.overflowing_add(product);
        let (sum, second) = sum.overflowing_add(carry);
        carry = u128::from(first || second);
        *pair = [low_half(sum), low_half(sum >> 64)];
    }
}

/// `into += x * factor`, of equal lengths. Gives what is carried out of them.
fn add_product(into: &mut [u64], x: &[u64], factor: u64) -> u64 {
    let mut carry = 0;
    for (limb, x) in into.iter_mut().zip(x) {
        let sum = u128::from(*x) * u128::from(factor) + u128::from(*limb) + u128::from(carry);
        *limb = low_half(sum);
        carry = low_half(sum >> 64);
    }
    carry
}

/// `x -= y`. Gives whether something is still owed.
fn subtract<const N: usize>(x: &mut [u64; N], y: &[u64; N]) -> bool {
    let mut borrow = false;
    for (limb, y) in x.iter_mut().zip(y) {
        let (difference, first) = limb.overflowing_sub(*y);
        let (difference, second) = difference.overflowing_sub(u64::from(borrow));
        *limb = difference;
        borrow = first || second;
    }
    borrow
}

#[expect(clippy::cast_possible_truncation, reason = "the other half is taken apart from it")]
fn low_half(wide: u128) -> u64 {
    wide as u64
}

#[cfg(test)]
mod tests {
    use num_bigint::BigUint;

    use super::*;

    /// Numbers of all kinds of limbs, the highest bit set.
    fn odd_numbers() -> impl Iterator<Item = [u64; 16]> {
        let mut state = 1_u64;
        let mut limb = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            match state >> 61 {
                0 => 0,
                1 => u64::MAX,
                _ => state.rotate_left(32),
            }
        };
        (0..200).map(move |_| {
            let mut number = [0; 16].map(|_: u64| limb());
            number[0] |= 1;
            number[15] |= 1 << 63;
            number
        })
    }

    fn big(limbs: &[u64]) -> BigUint {
        BigUint::from_bytes_le(&limbs.iter().flat_map(|limb| limb.to_le_bytes()).collect::<Vec<u8>>())
    }

    #[test]
    fn squares_are_those_of_plain_arithmetic() {
        let numbers: Vec<_> = odd_numbers().collect();
        for (n, x) in numbers.iter().zip(&numbers[1..]) {
            let modulus = Modulus::new(n);
            let mut power = *x;
            modulus.reduce(&mut power, false);
            let expected = big(&power).pow(2) % big(n);
            modulus.square(&mut power);
            assert_eq!((big(&power) << 1024) % big(n), expected, "{x:x?} modulo {n:x?}");
        }
    }

    #[test]
    fn primes_pass_and_composites_do_not() {
        // 2^1024 - 105 is the largest prime of 1024 bits.
        let below = |less: u64| {
            let mut number = [u64::MAX; 16];
            number[0] = u64::MAX - (less - 1);
            number
        };
        assert!(passes_fermat(&below(105)));
        for less in (1..105).step_by(2) {
            assert!(!passes_fermat(&below(less)), "2^1024 - {less}");
        }
        assert!(odd_numbers().filter(passes_fermat).count() < 3);
    }
}
