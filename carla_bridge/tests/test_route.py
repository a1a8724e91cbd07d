"""Route, expert and judge on routes made by hand."""

import math

import pytest

from caril_carla_bridge import expert, wire
from caril_carla_bridge.judge import Judge, State
from caril_carla_bridge.route import Route, RouteError, plan, wrap


def straight(length=100.0, speed=10.0):
    n = int(length / 0.5) + 1
    zero = [0.0] * n
    s = [0.5 * i for i in range(n)]
    return Route({
        "length_m": length, "spacing_m": 0.5, "s_m": s, "x_m": s, "y_m": zero, "z_m": zero,
        "yaw_rad": zero, "pitch_rad": zero, "curvature_1pm": zero, "lane_width_m": [3.5] * n,
        "nav": [0] * (n // 2) + [2] * (n - n // 2), "in_junction": [False] * n,
        "speed_limit_mps": [13.0] * n, "plan_speed_mps": [speed] * n,
        "plan_speed_slope_1ps": zero, "plan_curvature_1pm": zero, "plan_wheel_rad": zero,
        "plan_heading_rad": zero})


def arc(radius=20.0):
    """A right turn: clockwise from above, towards +y."""
    n = 61
    a = [0.5 * i / radius for i in range(n)]
    r = straight(0.5 * (n - 1))
    r.columns.update(
        x_m=[radius * math.sin(v) for v in a], y_m=[radius * (1 - math.cos(v)) for v in a],
        yaw_rad=a, curvature_1pm=[1 / radius] * n, plan_heading_rad=a,
        plan_wheel_rad=[math.atan(expert.WHEELBASE_M / radius)] * n,
        plan_curvature_1pm=[1 / radius] * n)
    return r


def test_a_point_is_projected_with_right_positive():
    assert straight().project(12.3, 1.5, 10.0) == pytest.approx((12.3, 1.5))
    r = arc()
    a = 0.6
    s, lateral = r.project(19 * math.sin(a), 20 - 19 * math.cos(a), 10.0)
    assert (s, lateral) == pytest.approx((12.0, 1.0), abs=1e-3)


def test_nav_and_angles():
    r = straight()
    assert (r.at(10).nav, r.at(90).nav, r.at(-5).s_m, r.at(1e9).s_m) == (0, 2, 0.0, 100.0)
    assert wrap(3 * math.pi) == pytest.approx(math.pi) and wrap(-math.pi) == math.pi


def test_the_expert_steers_back_to_the_lane_and_into_a_turn():
    r = straight()
    left_of_lane, _ = expert.act(r, 5.0, 0.0, 20.0, -1.0, 0.05)
    right_of_lane, _ = expert.act(r, 5.0, 0.0, 20.0, 1.0, 0.05)
    assert left_of_lane > 0.01 and right_of_lane == pytest.approx(-left_of_lane)
    steer, _ = expert.act(arc(), 5.0, 0.5, 10.0, 0.0, 0.05)
    assert steer > 0.08, "a turn to the right"


def test_the_expert_slows_behind_a_car():
    _, free = expert.act(straight(), 8.0, 0.0, 20.0, 0.0, 0.05)
    _, behind = expert.act(straight(), 8.0, 0.0, 20.0, 0.0, 0.05, (5.0, 0.0))
    assert free == 10.0 and behind < 8.0


def drive(judge, xs, y=0.0, speed=5.0, dt=0.1):
    return [judge.look(State(i * dt, x, y, 0.0, speed)) for i, x in enumerate(xs)]


def test_goal_and_completion():
    j = Judge(straight(), 0.05)
    truths = drive(j, [0, 20, 40, 60, 80, 95])
    assert j.end() is None and truths[3].route_completion == pytest.approx(60)
    assert drive(j, [97])[0].route_completion == 100 and j.end() == wire.GOAL


def test_every_other_end():
    j = Judge(straight(), 0.05)
    drive(j, [10], y=25.0)
    assert j.end() == wire.LEFT_ROUTE
    j = Judge(straight(), 0.05)
    drive(j, [10] * 1300, speed=0.0)
    assert j.end() == wire.BLOCKED
    j = Judge(straight(), 0.05, time_limit_s=5.0)
    drive(j, [10] * 60)
    assert j.end() == wire.TIMEOUT
    j = Judge(straight(), 0.05, frame_limit=3)
    drive(j, [1, 2, 3])
    assert j.end() is None
    drive(j, [4])
    assert j.end() == wire.FRAME_LIMIT


def test_a_contact_counts_once_until_they_part():
    j = Judge(straight(), 0.05)
    drive(j, [10])
    for t in (0.0, 0.5, 1.0, 3.0):
        j.collision(7, t)
    j.collision(0, 3.0)
    assert j.collisions == 3
    for i in range(9):
        j.collision(100 + i, 4.0)
    assert j.end() == wire.COLLISIONS


def test_no_program_no_route():
    with pytest.raises(RouteError, match="--caril"):
        plan("/nonexistent/caril", "x.xodr", "default", 1)
    with pytest.raises(RouteError):
        plan("false", "x.xodr", "default", 1)
