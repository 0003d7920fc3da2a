//! What a publisher asks of an engine: events and figures, taken as they come, and what it has published.
//!
//! In: an engine that gathers. Out: events, figures, how many wait. Always: what was taken and could not be published waits
//! again.

use super::{Change, Event, Figure, Publication};
#[cfg(test)]
use super::{figure_of, publishes};
use crate::engine::Engine;
use crate::state::ids::{ChannelId, SkuId};

impl Engine {
    /// From here on [`Self::apply`] gathers events and figures; all present figures count as changed.
    pub fn begin_publishing(&mut self) {
        self.state.begin_watch();
        let mut publication = Publication::default();
        publication.settle(&mut self.state);
        self.publication = Some(publication);
    }

    /// The events gathered since the last call, in order.
    pub fn take_events(&mut self) -> Vec<Event> {
        let publication = self.publication.as_mut();
        publication.map(|p| std::mem::take(&mut p.events)).unwrap_or_default()
    }

    /// Up to so many figures that changed.
    pub fn take_figures(&mut self, most: usize) -> Vec<Change> {
        let (Some(publication), state) = (self.publication.as_mut(), &self.state) else {
            return Vec::new();
        };
        let mut taken = Vec::new();
        while taken.len() < most {
            let Some(key) = publication.urgent.pop().or_else(|| publication.normal.pop()) else {
                break;
            };
            publication.normal.waiting.remove(&key);
            taken.push(publication.change(state, key));
        }
        taken
    }

    /// A figure that was taken and could not be published waits again.
    pub fn publish_again(&mut self, (channel, sku): (u16, u32)) {
        if let Some(publication) = self.publication.as_mut() {
            publication.urgent.push((ChannelId(channel), SkuId(sku)));
        }
    }

    /// What was published before. Where it is right it need not be taken; the key, if the names are known here.
    pub fn note_published(&mut self, channel: &str, sku: &str, figure: Figure, gone: bool) -> Option<(u16, u32)> {
        let publication = self.publication.as_mut()?;
        let catalogue = &self.state.catalogue;
        let key = (catalogue.channel(channel)?, SkuId(catalogue.sku_names.get(sku)?));
        let known = publication.figures.get(&key.0).and_then(|all| all.get(key.1.at()));
        let known = known.map(|known| Publication::less(*known, publication.paces.withheld(key)));
        if known == (!gone).then_some(figure) {
            publication.urgent.waiting.remove(&key);
            publication.normal.waiting.remove(&key);
        } else {
            publication.urgent.push(key);
        }
        Some((key.0.0, key.1.0))
    }

    /// Crossing one of these is as urgent as coming to zero, and an event, in batches behind `after`.
    pub fn set_thresholds(&mut self, thresholds: Vec<i64>, after: u64) {
        let is_past = self.state.position.sequence >= after;
        match self.publication.as_mut() {
            Some(publication) if is_past => publication.thresholds = thresholds,
            Some(publication) => publication.thresholds_then = Some((after, thresholds)),
            None => {}
        }
    }

    /// In which time sales are counted, and of how many figures.
    pub fn set_pace(&mut self, window_ms: i64, most: usize) {
        if let Some(publication) = self.publication.as_mut() {
            publication.paces.set(window_ms, most);
        }
    }

    /// How late each channel's shop learns of a figure; `other_ms`: those of the other channels. Figures of which more or less is to be withheld now wait.
    pub fn renew_paces(&mut self, lags_ms: &[(String, i64)], other_ms: i64, now_ms: i64) {
        let catalogue = &self.state.catalogue;
        let known = lags_ms.iter().filter(|(_, lag_ms)| *lag_ms > 0);
        let lags = known.filter_map(|(name, lag_ms)| Some((catalogue.channel(name)?, *lag_ms)));
        if let Some(publication) = self.publication.as_mut() {
            publication.paces.set_lags(lags.collect(), other_ms);
            publication.renew_paces(now_ms.max(self.state.position.now_ms));
        }
    }

    /// How many figures wait to be taken.
    pub fn figures_waiting(&self) -> usize {
        let waiting = |p: &Publication| p.urgent.waiting.union(&p.normal.waiting).count();
        self.publication.as_ref().map_or(0, waiting)
    }
}

#[cfg(test)]
impl Engine {
    /// Figures that differ from those computed again, of all channels and SKUs.
    pub(crate) fn stale_figures(&self) -> Vec<String> {
        let few = self.state.catalogue.skus.len() <= 64;
        let Some(publication) = self.publication.as_ref().filter(|_| few) else {
            return Vec::new();
        };
        let mut stale = Vec::new();
        for channel in (0..self.state.catalogue.channels.len() as u16).map(ChannelId) {
            let known = publication.figures.get(&channel);
            if known.is_some() != publishes(&self.state, channel) {
                stale.push(format!("channel {}", channel.0));
            }
            for sku in (0..self.state.catalogue.skus.len() as u32).map(SkuId) {
                let now = figure_of(&self.state, channel, sku);
                if known.is_some_and(|all| all.get(sku.at()) != Some(&now)) {
                    let name = self.state.catalogue.sku_name(sku);
                    stale.push(format!("channel {}, {name}: {now:?}", channel.0));
                }
            }
        }
        stale
    }
}
