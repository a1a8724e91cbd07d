"""Where the car is on its route, what it did wrong, and when the episode is over."""

import math
from dataclasses import dataclass

from caril_carla_bridge import expert, wire
from caril_carla_bridge.route import wrap

GOAL_M = 4.0
BLOCKED_S = 120.0
LEFT_ROUTE_M = 20.0
COLLISIONS_MAX = 10
# Contacts of one body further apart than this are two, seconds.
PARTED_S = 1.0
CHANGES = (4, 5)


@dataclass
class State:
    """The car in one frame."""

    time_s: float
    x_m: float
    y_m: float
    yaw_rad: float
    speed_mps: float
    off_road: bool = False
    leader: tuple = None


class Judge:
    """Follows the car along a route. `frame_limit` and `time_limit_s` may be None."""

    def __init__(self, route, period_s, start_s_m=0.0, frame_limit=None, time_limit_s=None):
        self.route, self.period_s = route, period_s
        self.frame_limit = frame_limit
        # 5 km/h, and something for the start, as in the embedded world.
        self.time_limit_s = time_limit_s or route.length_m / (5 / 3.6) + 20.0
        self.s_m, self.lateral_m, self.furthest_m = start_s_m, 0.0, start_s_m
        self.off_road_m = 0.0
        self.collisions = self.lane_invasions = self.frames = 0
        self.standing_s = 0.0
        self._touched = {}
        self._last = None

    def collision(self, other, time_s):
        """A contact with another body."""
        last = self._touched.get(other)
        if last is None or time_s - last > PARTED_S:
            self.collisions += 1
        self._touched[other] = time_s

    def invasion(self):
        """A lane mark was crossed. Not counted where the route itself crosses marks."""
        here = self.route.at(self.s_m)
        if not here.in_junction and here.nav not in CHANGES:
            self.lane_invasions += 1

    def look(self, state):
        """The truth of a frame."""
        self.s_m, self.lateral_m = self.route.project(state.x_m, state.y_m, self.s_m)
        self.furthest_m = max(self.furthest_m, self.s_m)
        self.frames += 1
        if self._last is not None:
            dt = max(state.time_s - self._last.time_s, 0.0)
            self.standing_s = self.standing_s + dt if state.speed_mps < 0.1 else 0.0
            if state.off_road:
                self.off_road_m += max(state.speed_mps, 0.0) * dt
        self._last = state
        here = self.route.at(self.s_m)
        steer, speed = expert.act(
            self.route, max(state.speed_mps, 0.0), state.yaw_rad, self.s_m, self.lateral_m,
            self.period_s, state.leader,
        )
        done = 1.0 if self.end() == wire.GOAL else self.furthest_m / self.route.length_m
        return wire.Truth(
            expert_steer=steer,
            expert_speed_mps=speed,
            lane_deviation_m=self.lateral_m,
            heading_error_rad=wrap(state.yaw_rad - here.yaw_rad),
            curvature_1pm=here.curvature_1pm,
            route_length_m=self.route.length_m,
            route_completion=100.0 * min(max(done, 0.0), 1.0),
            off_road_m=self.off_road_m,
            collisions=self.collisions,
            lane_invasions=self.lane_invasions,
        )

    def nav(self):
        """(navigation's command, advisory speed) here."""
        return self.route.at(self.s_m).nav, self.route.planned(self.s_m)["speed_mps"]

    def end(self):
        """Why the episode is over, or None."""
        if self._last is None:
            return None
        length, p = self.route.length_m, self._last
        goal = self.route.at(length)
        to_goal = math.hypot(p.x_m - goal.x_m, p.y_m - goal.y_m)
        past = self.s_m >= length
        if self.s_m > length - 30 and (to_goal < GOAL_M or past and to_goal < 8):
            return wire.GOAL
        if self.collisions > COLLISIONS_MAX:
            return wire.COLLISIONS
        if self.standing_s >= BLOCKED_S:
            return wire.BLOCKED
        if abs(self.lateral_m) > LEFT_ROUTE_M or past and to_goal > LEFT_ROUTE_M:
            return wire.LEFT_ROUTE
        if p.time_s >= self.time_limit_s:
            return wire.TIMEOUT
        if self.frame_limit is not None and self.frames > self.frame_limit:
            return wire.FRAME_LIMIT
        return None
