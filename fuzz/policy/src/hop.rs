//! A hop: a filter, and a host that keeps what it is told.

use rand::SeedableRng;
use rand::rngs::ChaCha12Rng;
use tracewarden::filter::StreamContext;
use tracewarden::headers::{HeaderWriter, Headers, Refused};
use tracewarden::host::{
    AccessLog, Clock, HeaderReader, Log, Metrics, Properties, Property, PropertyValue, Random, SharedMemory,
};
use tracewarden::metrics::Counter;

use crate::configuration::{CLUSTER, Configuration, ROUTE};
use crate::wire::Lines;

/// What became of a request.
pub(crate) struct Passed<'a> {
    pub(crate) came: &'a Lines,
    pub(crate) goes: Lines,
    /// The response as the caller gets it.
    pub(crate) answered: Lines,
    pub(crate) counted: Vec<Counter>,
    pub(crate) stream: StreamContext,
}

struct Host {
    headers: Lines,
    counted: Vec<Counter>,
    rng: ChaCha12Rng,
}

/// Takes a request and its response through a hop.
pub(crate) fn pass<'a>(hop: &Configuration, request: &'a Lines, response: &Lines, seed: u64) -> Passed<'a> {
    let headers: Headers = request.iter().map(|(name, value)| (name, value)).collect();
    let mut host =
        Host { headers: request.clone(), counted: Vec::new(), rng: ChaCha12Rng::seed_from_u64(seed) };
    let mut stream = hop.filter.request(&headers, &mut host);
    let goes = std::mem::replace(&mut host.headers, response.clone());
    hop.filter.response(&mut stream, &mut host);
    Passed { came: request, goes, answered: host.headers, counted: host.counted, stream }
}

impl HeaderWriter for Host {
    fn set(&mut self, name: &str, value: &[u8]) -> Result<(), Refused> {
        match self.headers.iter().position(|(own, _)| own.eq_ignore_ascii_case(name)) {
            Some(place) => {
                let mut number = 0;
                self.headers.retain(|(own, _)| {
                    number += 1;
                    number - 1 <= place || !own.eq_ignore_ascii_case(name)
                });
                if let Some((_, own)) = self.headers.get_mut(place) {
                    *own = value.to_vec();
                }
            }
            None => self.headers.push((name.to_owned(), value.to_vec())),
        }
        Ok(())
    }

    fn add(&mut self, name: &str, value: &[u8]) -> Result<(), Refused> {
        self.headers.push((name.to_owned(), value.to_vec()));
        Ok(())
    }

    fn remove(&mut self, name: &str) -> Result<(), Refused> {
        self.headers.retain(|(own, _)| !own.eq_ignore_ascii_case(name));
        Ok(())
    }
}

impl HeaderReader for Host {
    fn first(&mut self, name: &str) -> Result<Option<Vec<u8>>, Refused> {
        let line = self.headers.iter().find(|(own, _)| own.eq_ignore_ascii_case(name));
        Ok(line.map(|(_, value)| value.clone()))
    }

    fn headers(&mut self) -> Result<Headers, Refused> {
        Ok(self.headers.iter().map(|(name, value)| (name, value)).collect())
    }
}

impl Random for Host {
    type Rng = ChaCha12Rng;

    fn rng(&mut self) -> Option<&mut ChaCha12Rng> {
        Some(&mut self.rng)
    }
}

impl Clock for Host {
    fn now(&mut self) -> Option<u64> {
        Some(1)
    }
}

impl Metrics for Host {
    fn count(&mut self, counter: Counter, _: u64) {
        self.counted.push(counter);
    }
}

impl Properties for Host {
    /// Each request has one route, which leads to one cluster.
    fn property(&mut self, property: Property<'_>) -> Option<PropertyValue> {
        let name = match property {
            Property::RouteName => ROUTE,
            Property::ClusterName => CLUSTER,
            _ => return None,
        };
        Some(PropertyValue::Text(name.to_vec()))
    }
}
impl SharedMemory for Host {}
impl AccessLog for Host {}
impl Log for Host {}
