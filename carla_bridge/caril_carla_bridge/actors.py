"""Ego, sensors and traffic: spawned with our tag, paired by frame, taken away in the right order."""

import math
import queue
import time

import carla

from caril_carla_bridge.server import Fatal

# Asked for one by one: of several types the client looks at the nearest centre only, and a narrow
# shoulder in a junction then hides the driving lane over it.
ROAD = (carla.LaneType.Driving, carla.LaneType.Shoulder, carla.LaneType.Parking,
        carla.LaneType.Biking)
# Half of length and width between the wheels, metres.
WHEEL_X_M, WHEEL_Y_M = 1.4375, 0.79


def role(tag, what):
    """The role name that marks an actor as one of ours."""
    return f"caril.{tag}.{what}"


def remove_leftovers(client, world, tag, say):
    """Destroys what an earlier run with the same tag left. Never anybody else's."""
    mine = [a for a in world.get_actors()
            if a.attributes.get("role_name", "").startswith(role(tag, ""))]
    if mine:
        say(f"{len(mine)} actors of an earlier run are removed")
        destroy(client, mine)


def destroy(client, actors):
    """Sensors first, then vehicles, in two batches."""
    sensors = [a for a in actors if a.type_id.startswith("sensor.")]
    others = [a for a in actors if not a.type_id.startswith("sensor.")]
    for group in (sensors, others):
        if group:
            client.apply_batch_sync([carla.command.DestroyActor(a.id) for a in group], False)


def blueprint(world, name, **attributes):
    """A blueprint with attributes set. Raises Fatal if the server has none such."""
    try:
        bp = world.get_blueprint_library().find(name)
    except IndexError:
        raise Fatal(f"the server has no blueprint {name}") from None
    for key, value in attributes.items():
        if bp.has_attribute(key):
            bp.set_attribute(key, str(value))
    return bp


def spawn_ego(world, vehicle, tag, route, say):
    """(ego, metres along the route): tries the route's start, then places further along."""
    # Every command is sent, also one that equals the last: whoever watches us can see us live.
    bp = blueprint(world, vehicle, role_name=role(tag, "ego"), sticky_control="False")
    for s_m in (0.0, 3.0, 6.0, 9.0, 12.0, 18.0, 24.0, 30.0):
        if s_m > 0.3 * route.length_m:
            break
        p = route.at(s_m)
        at = carla.Transform(
            carla.Location(p.x_m, p.y_m, p.z_m + 0.3),
            carla.Rotation(pitch=math.degrees(p.pitch_rad), yaw=math.degrees(p.yaw_rad)),
        )
        ego = world.try_spawn_actor(bp, at)
        if ego is not None:
            if s_m > 0:
                say(f"the route's start is taken: starting {s_m:.0f} m along it")
            ego.apply_control(carla.VehicleControl(brake=1.0))
            return ego, s_m
    raise Fatal("no free place to spawn the ego on the first metres of the route")


class Camera:
    """A camera whose pictures are paired with frames, never by order."""

    def __init__(self, world, ego, tag, spec):
        m = spec["mount"]
        bp = blueprint(
            world, "sensor.camera.rgb", role_name=role(tag, "camera"), image_size_x=spec["width"],
            image_size_y=spec["height"], fov=spec["fov_deg"], sensor_tick="0.0",
        )
        at = carla.Transform(
            carla.Location(m["x_m"], m["y_m"], m["z_m"]),
            carla.Rotation(pitch=m["pitch_deg"], yaw=m["yaw_deg"]),
        )
        self.bytes = spec["width"] * spec["height"] * 4
        self.missing = self.old = 0
        self._images = queue.Queue(8)
        self._ahead = None
        self.actor = world.spawn_actor(bp, at, attach_to=ego)
        self.actor.listen(self._on_image)

    def _on_image(self, image):
        # raw_data does not own its pixels: they are copied here, and nothing else is done.
        item = (image.frame, bytes(image.raw_data))
        while True:
            try:
                return self._images.put_nowait(item)
            except queue.Full:
                try:
                    self._images.get_nowait()
                except queue.Empty:
                    pass

    def take(self, frame, seconds):
        """The pixels of this very frame; None if they did not come in time, or never will."""
        end = time.monotonic() + seconds
        while True:
            item, self._ahead = self._ahead, None
            if item is None:
                try:
                    item = self._images.get(timeout=max(end - time.monotonic(), 0.0))
                except queue.Empty:
                    self.missing += 1
                    return None
            if item[0] > frame:
                self._ahead = item
                self.missing += 1
                return None
            if item[0] == frame and len(item[1]) == self.bytes:
                return item[1]
            self.old += 1

    def drain(self):
        """Throws away what waits."""
        self._ahead = None
        while not self._images.empty():
            self._images.get_nowait()


class Events:
    """A sensor of events: collisions or lane invasions. The callback only enqueues."""

    def __init__(self, world, ego, tag, name):
        bp = blueprint(world, name, role_name=role(tag, name.rsplit(".", 1)[-1]))
        self._events = queue.Queue(1024)
        self.actor = world.spawn_actor(bp, carla.Transform(), attach_to=ego)
        self.actor.listen(self._on_event)

    def _on_event(self, event):
        other = getattr(event, "other_actor", None)
        try:
            self._events.put_nowait((event.frame, other.id if other is not None else 0))
        except queue.Full:
            pass

    def take(self):
        """All that came: (frame, other actor)."""
        found = []
        while True:
            try:
                found.append(self._events.get_nowait())
            except queue.Empty:
                return found


class Traffic:
    """Other cars under a Traffic Manager of our own port, in lockstep with us."""

    def __init__(self, client, world, count, tag, tm_port, seed, say):
        self.client, self.ids = client, []
        self.manager = client.get_trafficmanager(tm_port)
        self.manager.set_synchronous_mode(True)
        self.manager.set_random_device_seed(seed)
        bp = blueprint(world, "vehicle.tesla.model3", role_name=role(tag, "traffic"))
        command = carla.command
        points = pick(world.get_map().get_spawn_points(), seed)
        while len(self.ids) < count and points:
            # Others stand on some of them, the ego for one: further ones are tried instead.
            some, points = points[:count - len(self.ids)], points[count - len(self.ids):]
            self.ids += [r.actor_id for r in client.apply_batch_sync([
                command.SpawnActor(bp, at).then(
                    command.SetAutopilot(command.FutureActor, True, self.manager.get_port()))
                for at in some], False) if not r.error]
        if len(self.ids) < count:
            say(f"{len(self.ids)} of {count} cars of traffic found a place")

    def close(self):
        """Before any load_world: a manager that lives through one kills the process."""
        self.manager.set_synchronous_mode(False)
        self.manager.shut_down()
        self.client.apply_batch_sync([carla.command.DestroyActor(i) for i in self.ids], False)


def pick(points, seed):
    """All of the points in another order, the same for the same seed."""
    order = sorted(range(len(points)), key=lambda i: (i * 2654435761 + seed * 40503) % 4294967296)
    return [points[i] for i in order]


def is_off_road(town, transform):
    """Whether a wheel is beyond what cars may roll on."""
    forward, right, at = transform.get_forward_vector(), transform.get_right_vector(), transform.location
    for x in (WHEEL_X_M, -WHEEL_X_M):
        for y in (WHEEL_Y_M, -WHEEL_Y_M):
            p = carla.Location(at.x + x * forward.x + y * right.x,
                               at.y + x * forward.y + y * right.y, at.z)
            if not any(town.get_waypoint(p, project_to_road=False, lane_type=t) for t in ROAD):
                return True
    return False
