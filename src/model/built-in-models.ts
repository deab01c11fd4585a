/**
 * The models that the SDKs ship. Those of 0.4 and 0.5 are called by `old`, where they are there, and have no headers; those of 0.6
 * and 0.7 by the name of their class. Models of an SDK's example code are none of these.
 *
 * `fields` in the order of the SDK: a type as pyarrow prints it, the name of another model for a struct, either in brackets for a
 * list of it; behind it `?` for what a schema may lack, `~` for what every record has although the SDK's schema lets it be null.
 */

import { assert } from "./assert.ts";
import type { OntologyField, OntologyModel, OntologyRoles } from "./ontology.ts";
import type { SerializationFormat } from "./resource.ts";

interface Shipped {
  /** The tag in SDK 0.4 and 0.5. */
  readonly old?: string;
  /** The first of them that has it. */
  readonly since?: "0.5";
  /** The last SDK that has it. */
  readonly until?: "0.5";
  readonly format?: SerializationFormat;
  readonly fields: string;
  /** Latitude and longitude. */
  readonly position?: readonly [string, string];
  /** Structs whose x, y and z are a vector; empty for the model itself. */
  readonly vectors?: readonly string[];
}

const shipped: Readonly<Record<string, Shipped>> = {
  Acceleration: {
    old: "acceleration",
    fields: "...header, ...covariance, linear: Vector3d?, angular: Vector3d?",
    vectors: ["linear", "angular"],
  },
  BatteryState: {
    old: "battery_state",
    fields:
      "...header, voltage: float, temperature: float?, current: float?, charge: float?, capacity: float?, design_capacity: float?, percentage: float, power_supply_status: uint8, power_supply_health: uint8, power_supply_technology: uint8, present: bool, location: string, serial_number: string, cell_voltage: [float]?, cell_temperature: [float]?",
  },
  Boolean: { old: "boolean", fields: "data: bool" },
  CameraInfo: {
    old: "camera_info",
    fields:
      "...header, height: uint32, width: uint32, distortion_model: string, distortion_parameters: [double], intrinsic_parameters: fixed_size_list<item: double>[9], rectification_parameters: fixed_size_list<item: double>[9], projection_parameters: fixed_size_list<item: double>[12], binning: Vector2d?, roi: ROI?",
  },
  CompressedImage: { old: "compressed_image", format: "image", fields: "...header, data: binary, format: string" },
  Duration: { fields: "seconds: int32, nanoseconds: uint32" },
  Floating16: { old: "floating16", fields: "data: halffloat" },
  Floating32: { old: "floating32", fields: "data: float" },
  Floating64: { old: "floating64", fields: "data: double" },
  ForceTorque: {
    old: "force_torque",
    fields: "...header, ...covariance, force: Vector3d, torque: Vector3d",
    vectors: ["force", "torque"],
  },
  FrameTransform: { old: "frame_transform", fields: "transforms: [Transform]" },
  GPS: {
    old: "gps",
    fields: "...header, position: Point3d, velocity: Vector3d?, status: GPSStatus?",
    position: ["position.x", "position.y"],
    vectors: ["velocity"],
  },
  GPSStatus: {
    old: "gps_status",
    fields: "status: int8, service: uint16, satellites: int8?, hdop: double?, vdop: double?",
  },
  GridCells: { fields: "...header, cell_width: float, cell_height: float, cells: [Point3d]" },
  Header: { fields: "timestamp: Time?, frame_id: string?, sample_counter: uint64?" },
  Image: {
    old: "image",
    format: "image",
    fields:
      "...header, data: binary, format: string, width: int32, height: int32, stride: int32, encoding: string, is_bigendian: bool?",
  },
  IMU: {
    old: "imu",
    fields: "...header, acceleration: Vector3d, angular_velocity: Vector3d, orientation: Quaternion?",
    vectors: ["acceleration", "angular_velocity"],
  },
  Inertia: {
    old: "inertia",
    since: "0.5",
    fields: "...header, mass: double, center_of_mass: Vector3d, inertia: fixed_size_list<item: double>[6]",
  },
  Integer16: { old: "integer16", fields: "data: int16" },
  Integer32: { old: "integer32", fields: "data: int32" },
  Integer64: { old: "integer64", fields: "data: int64" },
  Integer8: { old: "integer8", fields: "data: int8" },
  Joy: { old: "joy", since: "0.5", fields: "...header, axes: [float], buttons: [int32]" },
  LargeString: { old: "large_string", until: "0.5", fields: "data: large_string" },
  LaserScan: {
    old: "laser_scan",
    fields:
      "...header, angle_min: float, angle_max: float, angle_increment: float, time_increment: float, scan_time: float, range_min: float, range_max: float, ranges: [float], intensities: [float]?",
  },
  Lidar: {
    old: "lidar",
    fields:
      "...header, x: [float], y: [float], z: [float], intensity: [float]?, reflectivity: [uint16]?, beam_id: [uint16]?, range: [float]?, near_ir: [float]?, azimuth: [float]?, elevation: [float]?, confidence: [uint8]?, return_type: [uint8]?, point_timestamp: [double]?",
  },
  Magnetometer: { old: "magnetometer", fields: "...header, magnetic_field: Vector3d", vectors: ["magnetic_field"] },
  MapMetadata: { fields: "map_load_time: Time, resolution: float, width: uint32, height: uint32, origin: Pose" },
  MotionState: {
    old: "motion_state",
    fields:
      "...header, ...covariance, pose: Pose, velocity: Velocity, target_frame_id: string, acceleration: Acceleration?",
    vectors: ["velocity.linear", "velocity.angular", "acceleration.linear", "acceleration.angular"],
  },
  MultiEchoLaserScan: {
    old: "multi_echolaser_scan",
    fields:
      "...header, angle_min: float, angle_max: float, angle_increment: float, time_increment: float, scan_time: float, range_min: float, range_max: float, ranges: [[float]], intensities: [[float]]?",
  },
  NMEASentence: { old: "nmea_sentence", fields: "...header, sentence: string" },
  OccupancyGrid: { fields: "...header, info: MapMetadata, data: [int8]" },
  Point2d: { old: "point_2_d", fields: "...header, ...covariance, x: double~, y: double~" },
  Point3d: { old: "point_3_d", fields: "...header, ...covariance, x: double~, y: double~, z: double~" },
  PointCloud2: {
    old: "point_cloud2",
    fields:
      "...header, height: uint32, width: uint32, fields: [PointField], is_bigendian: bool, point_step: uint32, row_step: uint32, data: binary, is_dense: bool",
  },
  PointField: { old: "point_field", fields: "name: string, offset: uint32, datatype: int64, count: uint32" },
  Polygon: { old: "polygon", since: "0.5", fields: "...header, points: [Point3d]" },
  Pose: { old: "pose", fields: "...header, ...covariance, position: Point3d, orientation: Quaternion" },
  Pressure: { old: "pressure", fields: "...variance, ...header, value: double" },
  Quaternion: { old: "quaternion", fields: "...header, ...covariance, x: double~, y: double~, z: double~, w: double~" },
  Radar: {
    old: "radar",
    fields:
      "...header, x: [float], y: [float], z: [float], range: [float]?, azimuth: [float]?, elevation: [float]?, rcs: [float]?, snr: [float]?, doppler_velocity: [float]?, vx: [float]?, vy: [float]?, vx_comp: [float]?, vy_comp: [float]?, ax: [float]?, ay: [float]?, radial_speed: [float]?",
  },
  Range: {
    old: "range",
    fields:
      "...variance, ...header, radiation_type: uint8, field_of_view: float, min_range: float, max_range: float, range: float",
  },
  RGBDCamera: {
    old: "rgbd_camera",
    fields: "...header, x: [float], y: [float], z: [float], rgb: [float]?, intensity: [float]?",
  },
  RobotJoint: {
    old: "robot_joint",
    fields: "...header, names: [string], positions: [double], velocities: [double], efforts: [double]",
  },
  RobotPath: { fields: "...header, poses: [Pose]" },
  ROI: { old: "roi", fields: "offset: Vector2d, height: uint32, width: uint32, do_rectify: bool?" },
  StereoCamera: {
    old: "stereo_camera",
    fields:
      "...header, x: [float], y: [float], z: [float], rgb: [float]?, intensity: [float]?, luma: [uint8]?, cost: [uint8]?",
  },
  String: { old: "string", fields: "data: string" },
  Temperature: { old: "temperature", fields: "...variance, ...header, value: double" },
  Time: { fields: "seconds: int32, nanoseconds: uint32" },
  ToFCamera: {
    old: "tof_camera",
    fields:
      "...header, x: [float], y: [float], z: [float], rgb: [float]?, intensity: [float]?, noise: [float]?, grayscale: [float]?",
  },
  Transform: {
    old: "transform",
    fields: "...header, ...covariance, translation: Vector3d, rotation: Quaternion, target_frame_id: string?",
  },
  Unmodeled: { fields: "" },
  Unsigned16: { old: "unsigned16", fields: "data: uint16" },
  Unsigned32: { old: "unsigned32", fields: "data: uint32" },
  Unsigned64: { old: "unsigned64", fields: "data: uint64" },
  Unsigned8: { old: "unsigned8", fields: "data: uint8" },
  Vector2d: { old: "vector_2_d", fields: "...header, ...covariance, x: double~, y: double~", vectors: [""] },
  Vector3d: {
    old: "vector_3_d",
    fields: "...header, ...covariance, x: double~, y: double~, z: double~",
    vectors: [""],
  },
  Vector4d: { old: "vector_4_d", fields: "...header, ...covariance, x: double~, y: double~, z: double~, w: double~" },
  Velocity: {
    old: "velocity",
    fields: "...header, ...covariance, linear: Vector3d?, angular: Vector3d?",
    vectors: ["linear", "angular"],
  },
};

/** What many models begin with. */
const shared: Readonly<Record<string, string>> = {
  "...header": "header: Header?",
  "...covariance": "covariance: [double]?, covariance_type: int16?",
  "...variance": "variance: double?, variance_type: int16?",
};

type Generation = "old" | "new";

let built: ReadonlyMap<string, readonly OntologyModel[]> | undefined;

/** By tag. */
export function builtInModels(): ReadonlyMap<string, readonly OntologyModel[]> {
  built ??= Map.groupBy(Object.entries(shipped).flatMap(modelsOf), ({ tag }) => tag);
  return built;
}

function modelsOf([name, { old, since, until }]: [string, Shipped]): OntologyModel[] {
  return [
    ...(until === undefined ? [modelOf({ name, tag: name, generation: "new", sdks: "SDK 0.6 and 0.7" })] : []),
    ...(old === undefined
      ? []
      : [modelOf({ name, tag: old, generation: "old", sdks: since === "0.5" ? "SDK 0.5" : "SDK 0.4 and 0.5" })]),
  ];
}

function modelOf(of: { name: string; tag: string; generation: Generation; sdks: string }): OntologyModel {
  const { format = "default", position, vectors = [] } = entryOf(of.name);
  const fields = fieldsBelow("", of.name, of.generation);
  const [latitude, longitude] = position ?? [];
  const roles: OntologyRoles = {
    position: latitude === undefined || longitude === undefined ? undefined : { latitude, longitude },
    vectors: vectors.map((struct) => componentsOf(fields, struct)),
  };
  return { tag: of.tag, format, description: of.sdks, fields, roles, replaces: false };
}

function entryOf(name: string): Shipped {
  const entry = shipped[name];
  assert(entry !== undefined, `${name} is a model`);
  return entry;
}

function componentsOf(fields: readonly OntologyField[], struct: string): string[] {
  const prefix = struct === "" ? "" : `${struct}.`;
  return ["x", "y", "z"]
    .map((axis) => `${prefix}${axis}`)
    .filter((path) => fields.some((field) => field.path === path));
}

function fieldsBelow(path: string, model: string, generation: Generation): OntologyField[] {
  const { fields } = entryOf(model);
  const members = fields.replace(/\.\.\.\w+/g, (name) => shared[name] ?? name).split(", ");
  return members.flatMap((member) => {
    const name = member.slice(0, Math.max(0, member.indexOf(": ")));
    const written = member.slice(name.length + 2);
    if (name === "" || (generation === "old" && name === "header")) return [];
    const mark = /[?~]$/.exec(written)?.[0];
    const type = mark === undefined ? written : written.slice(0, -1);
    const own = { optional: mark === "?", nullable: mark !== undefined };
    return fieldsOf(path === "" ? name : `${path}.${name}`, type, { own, generation });
  });
}

function fieldsOf(
  path: string,
  type: string,
  { own, generation }: { own: Pick<OntologyField, "optional" | "nullable">; generation: Generation },
): OntologyField[] {
  const lists = /^\[*/.exec(type)?.[0].length ?? 0;
  const item = type.slice(lists, type.length - lists);
  const isModel = /^[A-Z]/.test(item);
  const wrapped = `${"list<item: ".repeat(lists)}${isModel ? "struct" : item}${">".repeat(lists)}`;
  const below = isModel ? fieldsBelow(`${path}${"[]".repeat(lists)}`, item, generation) : [];
  return [{ path, type: wrapped, ...own }, ...below];
}
