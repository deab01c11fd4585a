"""A ROS 2 bag, written here with random messages, brought in by the SDK's injector and read back.

The injector is how robots' recordings reach a server: many topics, one connection of its own, metadata with
message definitions.
"""

import contextlib
import io
import math
import pathlib
import random
import tempfile
from typing import Any

import numpy
from mosaicolabs import IMU, Message
from rosbags.rosbag2 import Writer
from rosbags.typesys import Stores, get_typestore

import family
import report
from family import Server

start_ns = 1_710_000_000_000_000_000
count = 60
store = get_typestore(Stores.ROS2_HUMBLE)


def ros(name: str, **fields: Any) -> Any:
    return store.types[name](**fields)


def header(time_ns: int) -> Any:
    stamp = ros("builtin_interfaces/msg/Time", sec=time_ns // 10**9, nanosec=time_ns % 10**9)
    return ros("std_msgs/msg/Header", stamp=stamp, frame_id="base_link")


def vector(rng: random.Random) -> Any:
    return ros("geometry_msgs/msg/Vector3", x=rng.uniform(-10, 10), y=rng.uniform(-10, 10), z=rng.uniform(-10, 10))


def imu(time_ns: int, rng: random.Random) -> Any:
    angle = rng.uniform(0, math.pi)
    orientation = ros("geometry_msgs/msg/Quaternion", x=math.sin(angle), y=0.0, z=0.0, w=math.cos(angle))
    covariance = {
        f"{name}_covariance": numpy.array([rng.random() for _ in range(9)])
        for name in ("orientation", "angular_velocity", "linear_acceleration")
    }
    return ros(
        "sensor_msgs/msg/Imu",
        header=header(time_ns),
        orientation=orientation,
        angular_velocity=vector(rng),
        linear_acceleration=vector(rng),
        **covariance,
    )


def fix(time_ns: int, rng: random.Random) -> Any:
    status = ros("sensor_msgs/msg/NavSatStatus", status=0, service=1)
    covariance = numpy.array([rng.random() for _ in range(9)])
    place = {"latitude": rng.uniform(47, 48), "longitude": rng.uniform(8, 9), "altitude": rng.uniform(300, 600)}
    return ros(
        "sensor_msgs/msg/NavSatFix",
        header=header(time_ns),
        status=status,
        **place,
        position_covariance=covariance,
        position_covariance_type=2,
    )


def text(_: int, rng: random.Random) -> Any:
    return ros("std_msgs/msg/String", data=f"Zürich {rng.random()} 🚗")


def image(time_ns: int, rng: random.Random) -> Any:
    pixels = numpy.frombuffer(rng.randbytes(64 * 48 * 3), dtype=numpy.uint8)
    return ros(
        "sensor_msgs/msg/Image",
        header=header(time_ns),
        height=48,
        width=64,
        encoding="rgb8",
        is_bigendian=0,
        step=64 * 3,
        data=pixels,
    )


topics = {
    "/imu/data": ("sensor_msgs/msg/Imu", imu),
    "/gps/fix": ("sensor_msgs/msg/NavSatFix", fix),
    "/log": ("std_msgs/msg/String", text),
    "/camera/front/image_raw": ("sensor_msgs/msg/Image", image),
}


def write_bag(folder: pathlib.Path, rng: random.Random) -> dict[str, list[tuple[int, Any]]]:
    """The messages of every topic with their times."""
    written: dict[str, list[tuple[int, Any]]] = {topic: [] for topic in topics}
    with Writer(folder, version=9) as writer:
        connections = {
            topic: writer.add_connection(topic, name, typestore=store) for topic, (name, _) in topics.items()
        }
        now = start_ns
        for _ in range(count):
            for topic, (name, make) in topics.items():
                now += rng.randint(1, 10**7)
                message = make(now, rng)
                writer.write(connections[topic], now, store.serialize_cdr(message, name))
                written[topic].append((now, message))
    return written


def inject(server: Server, file: pathlib.Path, sequence: str) -> None:
    if family.letter == "C":
        from mosaicolabs.bridges.ros import RosbagInjector, ROSInjectionConfig
    else:
        from mosaicolabs.ros_bridge import RosbagInjector, ROSInjectionConfig

    config = ROSInjectionConfig(
        file_path=file,
        sequence_name=sequence,
        metadata={"robot": "conformance"},
        host=server.host,
        port=server.port,
        log_level="CRITICAL",
        ros_distro=Stores.ROS2_HUMBLE,
        mosaico_api_key=server.api_key,
    )
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        RosbagInjector(config).run()


def same_imu(message: Message, wanted: Any) -> None:
    data = message.get_data(IMU)
    report.true(data is not None, f"an IMU message is a {type(message.data).__name__}")
    for ours, theirs in (
        (data.acceleration, wanted.linear_acceleration),
        (data.angular_velocity, wanted.angular_velocity),
        (data.orientation, wanted.orientation),
    ):
        report.equal((ours.x, ours.y, ours.z), (theirs.x, theirs.y, theirs.z), "components")
    report.equal(list(data.acceleration.covariance), wanted.linear_acceleration_covariance.tolist(), "covariance")


def round_trip(server: Server) -> dict[str, Any]:
    sequence = server.name("bag")
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary) / "bag"
        written = write_bag(folder, server.random("bag"))
        inject(server, next(folder.glob("*.db3")), sequence)
    with server.connect() as client:
        handler = client.sequence_handler(sequence)
        report.true(handler is not None, "no sequence after the injection")
        report.equal(sorted(handler.topics), sorted(topics), "topics")
        report.equal(handler.user_metadata["robot"], "conformance", "metadata")
        report.equal(client.list_sequence_notifications(sequence), [], "notifications")
        for topic, messages in written.items():
            got = family.read_topic(client, sequence, topic)
            report.equal([message.timestamp_ns for message in got], [now for now, _ in messages], f"times of {topic}")
            for message, (_, wanted) in zip(got, messages):
                if topic == "/imu/data":
                    same_imu(message, wanted)
                elif topic == "/log":
                    report.equal(message.data.data, wanted.data, "text")
        size = handler.total_size_bytes
    return {"topics": len(topics), "rows": count * len(topics), "bytes": size}


def checks(run: report.Report, server: Server) -> None:
    run.run("bag: brought in by the injector", lambda: round_trip(server))
