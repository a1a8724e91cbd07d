"""One run of the bridge, in the child process: from connecting to leaving everything as it was."""

import math
import os
import tempfile

import carla

from caril_carla_bridge import actors, server, supervisor, wire
from caril_carla_bridge.judge import Judge, State
from caril_carla_bridge.plant import LATE, LEFT, Plant
from caril_carla_bridge.route import RouteError, plan

# Commands missing for so long mean full brake, seconds of the world.
WATCHDOG_S = 0.5
COMMAND_TIMEOUT_S = 2.0
STANDING_MPS = 0.05
# Pictures that the world owes us are waited for so long, seconds.
IMAGE_DEADLINE_S = 2.0
# Fog is none of CARLA's presets; the mini server knows these numbers.
FOG = {"FoggyNoon": (90, 45, 80, 20), "FoggySunset": (80, 15, 80, 20), "FoggyNight": (80, -90, 99, 30)}


def weather_of(name):
    """CARLA's weather parameters by name. Raises Fatal for an unknown one."""
    if name in FOG:
        cloud, sun, fog, wet = FOG[name]
        return carla.WeatherParameters(
            cloudiness=cloud, sun_altitude_angle=sun, fog_density=fog, wetness=wet,
            wind_intensity=10.0, fog_distance=0.75)
    preset = getattr(carla.WeatherParameters, name, None)
    if not isinstance(preset, carla.WeatherParameters):
        raise server.Fatal(f"no weather {name}", 2)
    return preset


class Bridge:
    """`options` are the parsed command line, `stop()` says whether to stop, `say(text)` tells."""

    def __init__(self, options, stop, say):
        self.o, self.stop, self.say = options, stop, say
        self.client = self.world = self.saved = self.ego = None
        self.clock = self.camera = self.traffic = self.plant = None
        self.events = []
        self.found_ticking = True
        self.first_frame = self.first_s = None
        self.path = []
        self.last_speed = 0.0
        self.steer = 0.0  # of the last command that was applied
        self.report = {"end": None, "frames": 0, "missing_images": 0, "foreign_ticks": 0,
                       "late_ticks": 0, "braked": 0}

    # Setting up.

    def open(self):
        """Everything until the car stands at its start and the endpoint is bound."""
        o = self.o
        self.client = server.connect(o.host, o.port, o.connect_timeout, self.stop, self.say)
        self.world = self._town()
        if o.follow:
            self.clock = server.Follower(self.world, o.tick_timeout, self.say)
        else:
            before = self.world.get_settings()
            self.found_ticking = not before.synchronous_mode
            self.saved = server.take_over(self.world, o.rate, self.say)
            self.clock = server.Clock(
                self.client, self.world, o.tick_timeout, self.stop, self.say,
                supervisor.sign(o.child))
        self.clock.tick()
        actors.remove_leftovers(self.client, self.world, o.tag, self.say)
        self.clock.tick()
        if o.weather:
            self.world.set_weather(weather_of(o.weather))
        self.town = self.world.get_map()
        self.route = self._route()
        self.ego, start = actors.spawn_ego(self.world, o.vehicle, o.tag, self.route, self.say)
        for _ in range(o.settle):
            self.clock.tick()
        self.camera = actors.Camera(self.world, self.ego, o.tag, o.camera)
        for name in ("sensor.other.collision", "sensor.other.lane_invasion"):
            self.events.append(actors.Events(self.world, self.ego, o.tag, name))
        if o.traffic:
            self.traffic = actors.Traffic(
                self.client, self.world, o.traffic, o.tag, o.tm_port, o.seed, self.say)
        self.judge = Judge(self.route, 1.0 / o.rate, start, o.frames)
        self._first()
        self.plant = Plant(o.endpoint, self._info(), o.keys)
        self.say(f"plant at {self.plant.endpoint} ({self._map_name()}, {self.route.length_m:.0f} m)")

    def _town(self):
        o = self.o
        self.client.set_timeout(o.load_timeout)
        world = self.client.get_world()
        if o.map:
            now = world.get_map().name.rsplit("/", 1)[-1]
            if now != o.map.rsplit("/", 1)[-1]:
                if o.follow:
                    raise server.Fatal(f"--follow cannot load {o.map}: the world has {now}", 2)
                try:
                    world = self.client.load_world(o.map)
                except RuntimeError as e:
                    raise server.Fatal(f"cannot load the map {o.map}: {e}") from None
        return world

    def _route(self):
        with tempfile.NamedTemporaryFile("w", suffix=".xodr", delete=False) as f:
            f.write(self.town.to_opendrive())
        try:
            return plan(self.o.caril, f.name, self.o.route, self.o.seed)
        except RouteError as e:
            raise server.Fatal(str(e)) from None
        finally:
            os.unlink(f.name)

    def _first(self):
        """The first frame of the drive: the first of which there is a picture. Those of a new
        camera may take some frames."""
        for _ in range(20):
            self.frame = self.clock.tick()
            self.pixels = self.camera.take(self.frame, IMAGE_DEADLINE_S)
            if self.pixels is not None:
                break
        else:
            raise server.Fatal("the camera gives no pictures")
        for e in self.events:
            e.take()
        self.camera.missing = 0

    def _map_name(self):
        return self.town.name.rsplit("/", 1)[-1]

    def _info(self):
        o = self.o
        return {
            "name": f"caril-carla-bridge 0.1.0, CARLA {self.client.get_server_version()}",
            "map": self._map_name(),
            "weather": o.weather or "as found",
            "camera": dict(o.camera, order="bgra"),
            "rate_hz": o.rate,
            "pacing": "lockstep",
            "route": self.route.outline(),
        }

    # Driving.

    def drive(self):
        """Serves controllers until the episode ends. Returns the exit code."""
        while not self.stop():
            if not self.plant.wait(1.0, self.stop):
                if self.plant.sessions and self.plant.route is None and self.o.once:
                    self.report["end"] = "controller left"
                    return 3
                continue
            reason = self._episode()
            if reason is not None:
                self.report["end"] = wire.END_NAMES[reason]
                return 0 if reason in (wire.GOAL, wire.FRAME_LIMIT) else 3
        self.report["end"] = "stopped"
        return 0

    def _episode(self):
        """Drives with the present controller. An end's reason, or None if the controller left."""
        if self.o.follow:
            self._advance()  # the world did not wait for a controller
        hold, held_s, silent = carla.VehicleControl(brake=1.0), 0.0, False
        while not self.stop():
            frame = self._frame()
            reason = self.judge.end()
            if reason is not None:
                self._brake()
                self.plant.send_end(reason, frame.truth)
                return reason
            if frame.pixels is None:
                # A frame that never came cannot be answered: the last command holds for a while.
                held_s += 1.0 / self.o.rate
                self._apply(hold if held_s < WATCHDOG_S else None)
            elif silent:
                # The controller did not answer: braking in real time until it does. Once the car
                # stands, the world stands still with it and no frame is counted.
                silent = not self.plant.any_command(1.0 / self.o.rate)
                while (silent and frame.ego.speed_mps < STANDING_MPS and self.plant.started
                       and not self.stop()):
                    self.plant.look()
                    silent = not self.plant.any_command(1.0 / self.o.rate)
                if not self.plant.started:
                    return self._left()
                self._apply(None)
            else:
                self.plant.send_frame(frame)
                got = self.plant.command(frame.id, COMMAND_TIMEOUT_S, self.stop)
                if got == LEFT:
                    return None if self.stop() else self._left()
                if got == LATE:
                    self.say(f"no command for frame {frame.id} within {COMMAND_TIMEOUT_S:.0f} s: braking")
                    silent = True
                    self._apply(None)
                else:
                    held_s, hold = 0.0, self._control(got)
                    self._apply(hold)
            self._advance()
        return None

    def _left(self):
        """The controller is gone: brakes to a stand; the world then stands still."""
        self.say("the controller left: braking to a stand")
        for _ in range(200):
            self._apply(None)
            self._advance()
            self._frame()
            if self.stop() or self.last_speed < STANDING_MPS:
                break
        return None

    def _control(self, command):
        if not command.is_valid():
            return None
        return carla.VehicleControl(
            throttle=command.throttle, steer=command.steer, brake=command.brake)

    def _apply(self, control):
        if control is None:
            # The wheels stay as they are: straightened in a bend, a car leaves it.
            self.report["braked"] += 1
            control = carla.VehicleControl(brake=1.0, steer=self.steer)
        self.steer = control.steer
        self.ego.apply_control(control)

    def _brake(self):
        self.ego.apply_control(carla.VehicleControl(brake=1.0, steer=self.steer))

    def _advance(self):
        self.frame = self.clock.tick()
        self.pixels = self.camera.take(self.frame, IMAGE_DEADLINE_S)

    def _frame(self):
        """The frame that the world is in. One snapshot gives every value, so that none of them
        belongs to another frame."""
        snapshot = self.clock.snapshot()
        seen = snapshot.find(self.ego.id)
        if snapshot.frame != self.frame or seen is None:
            raise server.ServerGone(f"frame {self.frame} has no state of the ego")
        if self.first_frame is None:
            self.first_frame, self.first_s = self.frame, snapshot.timestamp.elapsed_seconds
        time_s = snapshot.timestamp.elapsed_seconds - self.first_s
        transform = seen.get_transform()
        rotation, at = transform.rotation, transform.location
        yaw, pitch = math.radians(rotation.yaw), math.radians(rotation.pitch)
        # In doubles: the client's own forward vector has rounded twice.
        forward = (math.cos(pitch) * math.cos(yaw), math.cos(pitch) * math.sin(yaw), math.sin(pitch))
        def along(v):
            return v.x * forward[0] + v.y * forward[1] + v.z * forward[2]
        ego = wire.Ego(
            (at.x, at.y, at.z, yaw, pitch, math.radians(rotation.roll)),
            along(seen.get_velocity()), along(seen.get_acceleration()),
            math.radians(seen.get_angular_velocity().z),
        )
        self.last_speed = abs(ego.speed_mps)
        contacts, marks = (e.take() for e in self.events)
        for _, other in contacts:
            self.judge.collision(other, time_s)
        for _ in marks:
            self.judge.invasion()
        state = State(time_s, at.x, at.y, ego.pose[3], ego.speed_mps,
                      actors.is_off_road(self.town, transform), self._leader(snapshot))
        truth = self.judge.look(state)
        nav, advisory = self.judge.nav()
        self.report.update(
            frames=self.judge.frames, route_completion=truth.route_completion,
            route_length_m=truth.route_length_m, collisions=truth.collisions,
            lane_invasions=truth.lane_invasions, off_road_m=truth.off_road_m)
        self.path.append((at.x, at.y))
        return wire.Frame(
            self.frame - self.first_frame + 1, round(time_s * 1e9), ego, self.pixels,
            self.o.camera["width"], self.o.camera["height"], nav, advisory, truth)

    def _leader(self, snapshot):
        """(gap, speed) of the nearest car of our traffic on the route ahead."""
        best = None
        for i in self.traffic.ids if self.traffic else ():
            other = snapshot.find(i)
            if other is None:
                continue
            at = other.get_transform().location
            s, lateral = self.route.project(at.x, at.y, self.judge.s_m)
            gap = s - self.judge.s_m - 4.69
            here = self.route.at(s)
            ahead = s > self.judge.s_m and abs(lateral) < 2.0
            apart = math.hypot(at.x - here.x_m, at.y - here.y_m)
            if ahead and apart < 3.0 and gap < 45 and (best is None or gap < best[0]):
                v = other.get_velocity()
                along = v.x * math.cos(here.yaw_rad) + v.y * math.sin(here.yaw_rad)
                best = (max(gap, 0.05), max(along, 0.0))
        return best

    # Leaving.

    def close(self):
        """Leaves everything as it was, as far as a server is left: brake, stop sensors, one tick,
        sensors before vehicles, traffic, settings. One failing step keeps none of the others from
        being tried."""
        if self.plant is not None:
            self._try(self.plant.close)
        if self.client is None:
            return
        self.client.set_timeout(3.0)
        sensors = [s for s in [self.camera, *self.events] if s is not None]
        if self.ego is not None:
            self._try(self._brake)
        for s in sensors:
            self._try(s.actor.stop)
        if self.saved is not None and self.clock is not None:
            self._try(lambda: self.world.tick(2.0))
        if self.traffic is not None:
            self._try(self.traffic.close)
        ours = [s.actor for s in sensors] + ([self.ego] if self.ego is not None else [])
        if ours:
            self._try(lambda: actors.destroy(self.client, ours))
        if isinstance(self.clock, server.Follower):
            self._try(self.clock.close)
        if self.saved is not None:
            self._try(lambda: server.give_back(self.world, self.saved, self.found_ticking))
        if self.camera is not None and self.clock is not None:
            self.report.update(
                missing_images=self.camera.missing, foreign_ticks=self.clock.foreign,
                late_ticks=self.clock.late)

    def _try(self, step):
        try:
            step()
        except RuntimeError as e:
            self.say(f"while leaving: {e}")
