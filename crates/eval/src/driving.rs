//! Did it arrive, how safely and how smoothly, and did the correction help?

mod comfort;
mod correction;
mod savgol;
mod score;
mod steering;

pub use comfort::{BOUNDS, Bound, Comfort, Motion, WINDOW_STEPS, comfort};
pub use correction::{ActionTick, Counterfactual, counterfactual, switches_per_minute};
pub use savgol::{SAVGOL_WINDOW, savgol_slope, savgol_smooth};
pub use score::{DrivingScore, Infraction, Infractions, Leaderboard, RouteResult, driving_score};
pub use score::{infractions_per_km, nocrash_success, nocrash_time_limit_s, route_completion_pct};
pub use steering::{REVERSAL_GAP, SteeringStability, steering_stability};
