"""The bridge end to end: genuine client, mini server, a controller over ZeroMQ, and every fault of
the list in docs/carla.md."""

import json
import math
import signal
import threading
import time

import pytest
from conftest import look
from controller import Controller


def drive(bridge_process, frames=100_000, seconds=60.0):
    c = Controller(bridge_process.endpoint, seconds=seconds)
    c.drive(frames)
    return c


def result(p):
    code, out = p.finish()
    return code, json.loads(out.strip().splitlines()[-1]) if out.strip() else None


def test_a_short_drive_leaves_everything_as_it_was(serve, bridge):
    port, _ = serve()
    p = bridge(port, "--frames", "60")
    c = drive(p)
    assert c.ids == list(range(1, 61)) and c.end == 6
    c.close()
    code, report = result(p)
    assert (code, report["end"], report["missing_images"], report["foreign_ticks"]) == (
        0, "frame limit", 0, 0)
    assert report["route_completion"] > 0.5 and abs(c.truth[2]) < 0.3
    assert look(port) == [[], False, []]


def test_the_goal_is_reached_and_told(serve, bridge):
    port, _ = serve(map="town_blocks")
    import carla
    client = carla.Client("127.0.0.1", port)
    client.set_timeout(20)
    town = client.get_world().get_map()
    w = max((town.get_waypoint(s.location) for s in town.get_spawn_points()),
            key=lambda w: len(w.next_until_lane_end(1.0)))
    a, b = w.transform.location, w.next(25.0)[0].transform.location
    p = bridge(port, f"--route={a.x},{a.y}:{b.x},{b.y}")
    c = drive(p)
    assert c.end == 1 and c.truth[6] == 100.0
    c.close()
    assert result(p)[0] == 0


def test_another_town_is_loaded_and_traffic_drives_there_and_is_taken_away(serve, bridge):
    import carla
    port, _ = serve(map="town_blocks")
    p = bridge(port, "--map", "winding_suburb", "--traffic", "6", "--tm-port", "0", "--frames", "100")
    c = Controller(p.endpoint, seconds=60)
    c.drive(80)
    client = carla.Client("127.0.0.1", port)
    client.set_timeout(20)
    world = client.get_world()
    assert world.get_map().name.endswith("winding_suburb")
    for _ in range(5):  # a state reaches the onlooker with every tick
        c.command(c.frame())
        time.sleep(0.05)
    cars = [a for a in world.get_actors().filter("vehicle.*")
            if a.attributes["role_name"].endswith("traffic")]
    moving = [a for a in cars if a.get_velocity().length() > 1.0]
    assert len(cars) == 6 and len(moving) >= 3, [a.get_velocity().length() for a in cars]
    while (f := c.frame()) is not None:
        c.command(f)
    c.close()
    code, report = result(p)
    assert (code, report["frames"], report["foreign_ticks"]) == (0, 101, 0), p.text()
    assert look(port) == [[], False, []]


def test_lost_doubled_and_late_pictures_are_never_paired_wrongly(serve, bridge):
    port, _ = serve(fault=["lost:17", "doubled:11", "late:5"])
    p = bridge(port, "--frames", "80")
    c = drive(p)
    assert len(c.ids) < 80 and c.ids == sorted(set(c.ids)), "a lost picture is a missing frame"
    c.close()
    code, report = result(p)
    assert code == 0 and report["missing_images"] >= 4
    assert report["missing_images"] + len(c.ids) == 80


def test_a_foreign_tick_is_noticed(serve, bridge):
    port, _ = serve(fault=["foreign:20"])
    p = bridge(port, "--frames", "60")
    c = drive(p)
    c.close()
    _, report = result(p)
    assert report["foreign_ticks"] >= 2
    assert "somebody else ticks" in p.text()


def test_another_version_is_refused_and_nothing_is_changed(serve, bridge):
    port, _ = serve(fault=["version:0.9.15"])
    p = bridge(port, wait=False)
    code, _ = p.finish()
    assert code == 1 and "0.9.15" in p.text() and "restarts" not in p.text()


def test_refused_spawns_move_the_start(serve, bridge):
    port, _ = serve(fault=["spawn:2"])
    p = bridge(port, "--frames", "5")
    assert "6 m along" in p.text()
    drive(p).close()
    assert result(p)[0] == 0


def test_leftovers_of_the_same_tag_are_removed_and_no_others(serve, bridge):
    import carla
    port, _ = serve()
    client = carla.Client("127.0.0.1", port)
    client.set_timeout(20)
    world = client.get_world()
    bp = world.get_blueprint_library().find("vehicle.tesla.model3")
    for i, name in enumerate(("caril.ego.ego", "caril.other.ego", "hero")):
        bp.set_attribute("role_name", name)
        world.spawn_actor(bp, world.get_map().get_spawn_points()[10 + 3 * i])
    p = bridge(port, "--frames", "3")
    drive(p).close()
    assert result(p)[0] == 0 and "1 actors of an earlier run" in p.text()
    assert sorted(look(port)[0]) == ["caril.other.ego", "hero"]


def test_a_world_left_synchronous_is_taken_over_and_freed(serve, bridge):
    import carla
    port, _ = serve()
    client = carla.Client("127.0.0.1", port)
    client.set_timeout(20)
    world = client.get_world()
    settings = world.get_settings()
    settings.synchronous_mode, settings.fixed_delta_seconds = True, 0.1
    world.apply_settings(settings)
    p = bridge(port, "--frames", "3")
    drive(p).close()
    assert result(p)[0] == 0 and "taken over" in p.text()
    assert look(port)[1] is False


def test_a_world_that_another_ticks_is_left_alone(serve, bridge):
    import carla
    port, _ = serve()
    client = carla.Client("127.0.0.1", port)
    client.set_timeout(20)
    world = client.get_world()
    settings = world.get_settings()
    settings.synchronous_mode, settings.fixed_delta_seconds = True, 0.05
    world.apply_settings(settings)
    done = threading.Event()
    def tick():
        while not done.is_set():
            world.tick()
            time.sleep(0.02)
    thread = threading.Thread(target=tick)
    thread.start()
    try:
        p = bridge(port, wait=False)
        code, _ = p.finish()
        assert code == 1 and "--follow" in p.text()
        q = bridge(port, "--follow", "--frames", "10")
        drive(q).close()
        assert result(q)[0] == 0
        assert world.get_settings().synchronous_mode
    finally:
        done.set()
        thread.join()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("moment", ["waiting", "driving"])
def test_signals_end_it_cleanly(serve, bridge, number, moment):
    port, _ = serve()
    p = bridge(port)
    if moment == "driving":
        c = Controller(p.endpoint)
        c.drive(10)
        p.child.send_signal(number)
        while (f := c.frame()) is not None:
            c.command(f)
        c.close(bye=False)
    else:
        p.child.send_signal(number)
    code, report = result(p)
    assert code == 0 and report["end"] == "stopped"
    assert look(port) == [[], False, []]


@pytest.mark.parametrize("bye", [True, False])
def test_a_controller_that_leaves_is_followed_by_a_stand_and_by_the_next(serve, bridge, bye):
    port, _ = serve()
    p = bridge(port, "--frames", "200")
    c = Controller(p.endpoint)
    c.drive(40)
    moving = c.frame()
    assert moving["speed"] > 1
    c.close(bye=bye)
    p.wait_for("braking to a stand")
    d = Controller(p.endpoint)
    d.start()
    first = d.frame()
    assert first["speed"] < 0.1 and math.hypot(first["x"] - moving["x"], first["y"] - moving["y"]) < 10
    d.command(first)
    d.close()
    p.child.send_signal(signal.SIGTERM)
    assert result(p)[0] == 0


def test_a_silent_controller_stops_the_car_and_may_come_back(serve, bridge):
    port, _ = serve()
    p = bridge(port, "--frames", "90")
    c = Controller(p.endpoint)
    c.drive(40)
    asked = c.frame()
    assert asked["speed"] > 1
    p.wait_for("no command for frame")
    # Time enough to stand; standing, with its controller silent, is no part of the drive.
    time.sleep(3.0)
    c.command(asked)
    later = c.frame()
    assert later["id"] > asked["id"] + 1 and later["speed"] < asked["speed"] - 0.3
    c.command(later)
    assert c.frame()["id"] == later["id"] + 1
    c.close()
    p.child.send_signal(signal.SIGTERM)
    assert result(p)[0] == 0


@pytest.mark.parametrize("stall_s", [3.5, 4.5])  # between one and two time-outs, and beyond two
def test_a_stalled_server_is_waited_for_and_no_tick_is_doubled(serve, bridge, stall_s):
    port, server = serve()
    p = bridge(port, "--frames", "40", "--tick-timeout", "2")
    c = Controller(p.endpoint, seconds=60)
    c.drive(10)
    server.child.send_signal(signal.SIGSTOP)
    threading.Timer(stall_s, lambda: server.child.send_signal(signal.SIGCONT)).start()
    while (f := c.frame()) is not None:
        c.command(f)
    c.close()
    code, report = result(p)
    assert code == 0 and report["late_ticks"] >= 1 and report["frames"] == 41
    assert report["foreign_ticks"] == 0


def test_a_dead_server_is_waited_for_by_a_new_child(serve, bridge):
    port, server = serve()
    p = bridge(port, "--frames", "20", "--tick-timeout", "1")
    c = Controller(p.endpoint, seconds=30)
    c.drive(5)
    asked = c.frame()
    server.kill()
    c.command(asked)
    p.wait_for("the server is gone")
    assert c.frame() is None, "Bye"
    c.close(bye=False)
    serve(port=port)
    p.wait_for("(?s)plant at .*plant at ")
    d = drive(p)
    assert d.ids == list(range(1, 21))
    d.close()
    assert result(p)[0] == 0
    assert look(port) == [[], False, []]
