"""The expert's label: the formula of crates/sim/src/expert.rs, for learning and for judging. The
constants are those of CARLA's Tesla Model 3 as the embedded world has it."""

import math

from caril_carla_bridge.route import wrap

WHEELBASE_M = 2.875
WHEEL_ANGLE_MAX_RAD = math.radians(70.0)
STEER_LAG_S = 0.08
MASS_KG = 1850.0
AXLE_STIFFNESS_NPRAD = 125_000.0
LENGTH_M = 4.69
LATERAL_MAX_MPS2 = 3.0
DAMPING = 0.9
APPROACH_MAX_RAD = 0.4


def clamp(v, lo, hi):
    """v, brought into [lo, hi]."""
    return min(max(v, lo), hi)


def slip_share(v):
    """How much of the dynamic model counts at a speed."""
    t = clamp((v - 3.0) / 3.0, 0.0, 1.0)
    return t * t * (3 - 2 * t)


def follow_accel(v, wish, gap_m, leader_mps):
    """Intelligent driver model (Treiber 2000), m/s²."""
    closing = v - leader_mps
    want = 3.0 + max(v * 1.4 + v * closing / (2 * math.sqrt(1.5 * 2.0)), 0.0)
    r, ratio = v / max(wish, 0.1), want / max(gap_m, 0.1)
    return clamp(1.5 * (1 - r ** 4 - ratio * ratio), -8.0, 1.5)


def act(route, v, yaw_rad, s_m, lateral_m, period_s, leader=None):
    """(steer, target speed): what the expert would do. `leader` is (gap in m, speed in m/s)."""
    here = route.planned(s_m)
    ahead = route.planned(s_m + v * (STEER_LAG_S + 0.5 * period_s + 0.002 * v))
    slip = slip_share(v) * MASS_KG * v * v * here["curvature_1pm"] / (2 * AXLE_STIFFNESS_NPRAD)
    heading = wrap(yaw_rad - here["heading_rad"] - slip)
    reach = 3.0 + 0.55 * v
    approach = -APPROACH_MAX_RAD * math.tanh(lateral_m / (2 * DAMPING * reach * APPROACH_MAX_RAD))
    bend_back = -2 * DAMPING / reach * (heading - approach)
    tan_wheel = math.tan(ahead["wheel_rad"]) + WHEELBASE_M * bend_back
    limit = LATERAL_MAX_MPS2 * WHEELBASE_M / max(v * v, 1.0)
    steer = math.atan(clamp(tan_wheel, -limit, limit)) / WHEEL_ANGLE_MAX_RAD
    profile = route.planned(s_m + 0.2 * v)
    speed = profile["speed_mps"]
    accel = clamp(1.5 * (speed - v) + clamp(profile["speed_slope_1ps"] * v, -2.5, 1.5), -4.0, 1.8)
    if leader is not None:
        follow = follow_accel(v, speed, *leader)
        if follow < accel:
            speed = min(speed, max(v + follow, 0.0))
    return clamp(steer, -1.0, 1.0), speed
