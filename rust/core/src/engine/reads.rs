//! The queries of the binding; `reads` answers them.

use super::Engine;
use crate::availability::pool::SaleContext;
use crate::availability::sellable;
pub use crate::reads::availability::Sale;
pub use crate::reads::listing::Listing;
use crate::reads::queries;
use crate::reads::render::Answer;
use crate::reads::{availability, listing};
use crate::state::ids::{ChannelId, SkuId};

#[inline]
fn either(answer: Result<Answer, Answer>) -> Answer {
    answer.unwrap_or_else(|refusal| refusal)
}

impl Engine {
    /// `GET /v1/availability/{sku}`.
    pub fn availability(
        &self,
        sku: &str,
        channel: &str,
        region: Option<&str>,
        quantity: Option<i64>,
        as_of: &[u8],
    ) -> Answer {
        let sale = Sale {
            region,
            quantity,
            ..Sale::default()
        };
        self.availability_of(sku, channel, &sale, as_of)
    }

    /// The same, asked in more detail.
    pub fn availability_of(&self, sku: &str, channel: &str, sale: &Sale<'_>, as_of: &[u8]) -> Answer {
        either(availability::availability(&self.state, sku, channel, sale, as_of))
    }

    /// `POST /v1/availability`.
    pub fn availabilities(&self, body: &[u8], channels: Option<&[String]>, as_of: &[u8]) -> Answer {
        either(availability::availabilities(&self.state, body, channels, as_of))
    }

    /// `GET /v1/availability/{sku}/explain`.
    pub fn explain(
        &self,
        sku: &str,
        channel: &str,
        region: Option<&str>,
        channels: Option<&[String]>,
        as_of: &[u8],
    ) -> Answer {
        either(availability::explain(
            &self.state,
            sku,
            channel,
            region,
            channels,
            as_of,
        ))
    }

    /// `POST /v1/carts/validate`.
    pub fn validate(&self, body: &[u8], channels: Option<&[String]>, as_of: &[u8]) -> Answer {
        let key = self.owner_key.as_ref();
        either(queries::validate(&self.state, key, body, channels, as_of))
    }

    /// `GET /v1/reservations/{id}`.
    pub fn reservation(&self, id: &str, channels: Option<&[String]>, as_of: &[u8]) -> Answer {
        queries::reservation(&self.state, id, channels, as_of)
    }

    /// `GET /v1/<list>`: one page of it.
    pub fn listing(&self, list: &str, asked: &Listing<'_>, as_of: &[u8]) -> Answer {
        either(listing::page(&self.state, list, asked, self.owner_key.as_ref(), as_of))
    }

    /// `GET /v1/skus/{sku}`.
    pub fn sku(&self, name: &str, channels: Option<&[String]>, as_of: &[u8]) -> Answer {
        either(listing::sku(&self.state, name, channels, as_of))
    }

    /// Totals for `GET /v1/state`, the dashboard and tests: a JSON object of counts.
    pub fn totals(&self) -> Vec<u8> {
        queries::totals(&self.state)
    }

    /// What can be sold, for tests and benches; None: unknown SKU.
    pub fn sellable(&self, sku: &str, channel: &str, region: Option<&str>) -> Option<i64> {
        let sku = self.state.catalogue.sku(sku)?;
        let region = self.state.catalogue.asked_region(region);
        let asking = SaleContext::of(self.state.catalogue.channel(channel), region);
        Some(sellable::sellable(&self.state, sku, &asking).quantity)
    }

    /// The interned number of a SKU, for [`Engine::sellable_by_id`].
    pub fn sku_id(&self, name: &str) -> Option<SkuId> {
        self.state.catalogue.sku(name)
    }

    /// The interned number of a channel.
    pub fn channel_id(&self, name: &str) -> Option<ChannelId> {
        self.state.catalogue.channel(name)
    }

    /// What can be sold, by interned ids.
    #[inline]
    pub fn sellable_by_id(&self, sku: SkuId, channel: Option<ChannelId>) -> i64 {
        sellable::sellable(&self.state, sku, &SaleContext::of(channel, None)).quantity
    }
}
