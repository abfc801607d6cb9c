// The built-in set: ten classes of drawn shapes on textured, cluttered grounds. No torch here.
// Only +, -, *, / and floor are used on the way to a pixel, and every image has its own random
// stream: the bytes do not depend on the number of threads nor on the mathematics library.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "core/sizes.h"
#include "retort/core/random.h"
#include "retort/data/raw.h"

namespace retort::data {
namespace {

constexpr int kSide = 32, kChannels = 3, kClasses = 10, kSamples = 3;
constexpr int kArea = kSide * kSide;

/// How far images of one class differ, chosen so that a standard ConvNet learns the whole set to
/// 90-97 % while one random image a class says little. Lengths in half image sides.
struct Variety {
  double size_low = 0.50, size_high = 0.80;
  double shift = 0.15;     // of the shape's centre, each way
  double turn = 0.12;      // half-angle tangent of the rotation, each way
  double contrast = 0.38;  // between ground and shape
  double tint = 0.21;      // of colours about grey, each way
  double texture = 0.22;   // of ground and shape, each way
  double noise = 0.125;    // deviation
  int distractors = 4;     // at most, small shapes lighter or darker than the ground
  int covers = 1;          // at most, bars over everything
};
constexpr Variety kVariety{};

struct Corner {
  double x, y;
};

constexpr std::array<Corner, 3> kTriangle{{{0, -0.95}, {0.9, 0.7}, {-0.9, 0.7}}};
constexpr std::array<Corner, 10> kStar{{{0, -1},
                                        {0.235, -0.324},
                                        {0.951, -0.309},
                                        {0.380, 0.124},
                                        {0.588, 0.809},
                                        {0, 0.4},
                                        {-0.588, 0.809},
                                        {-0.380, 0.124},
                                        {-0.951, -0.309},
                                        {-0.235, -0.324}}};
constexpr std::array<Corner, 7> kArrow{
    {{0.95, 0}, {0.15, -0.8}, {0.15, -0.3}, {-0.9, -0.3}, {-0.9, 0.3}, {0.15, 0.3}, {0.15, 0.8}}};

/// Even-odd rule.
bool within(std::span<const Corner> polygon, double x, double y) {
  bool inside = false;
  for (size_t i = 0, j = polygon.size() - 1; i < polygon.size(); j = i++) {
    const Corner a = polygon[i], b = polygon[j];
    if ((a.y > y) != (b.y > y) && x < (b.x - a.x) * (y - a.y) / (b.y - a.y) + a.x) inside = !inside;
  }
  return inside;
}

double squared(double value) {
  return value * value;
}

/// The outlines, in the order of class_names, about the origin and within radius 1.2.
bool covers(int shape, double x, double y) {
  const double r = x * x + y * y, ax = std::abs(x), ay = std::abs(y);
  if (r > 1.44) return false;
  switch (shape) {
    case 0:
      return r < squared(0.85);
    case 1:
      return ax < 0.75 && ay < 0.75;
    case 2:
      return within(kTriangle, x, y);
    case 3:
      return within(kStar, x, y);
    case 4:
      return std::min(ax, ay) < 0.27 && std::max(ax, ay) < 0.9;
    case 5:
      return r < squared(0.95) && r > squared(0.58);
    case 6:
      return r < squared(0.95) && squared(x - 0.45) + y * y > squared(0.72);
    case 7: {
      const double hx = x * 1.2, hy = 0.15 - y * 1.2, d = hx * hx + hy * hy - 1;
      return d * d * d < hx * hx * hy * hy * hy;
    }
    case 8:
      return within(kArrow, x, y);
    default:
      return ax < ay && ay < 0.85;
  }
}

const std::vector<std::string>& class_names() {
  static const std::vector<std::string> kNames = {"circle", "square",   "triangle", "star",
                                                  "cross",  "ring",     "crescent", "heart",
                                                  "arrow",  "hourglass"};
  return kNames;
}

/// Where a shape stands: local = turn(p - centre) / size. Nothing of it is `reach` sizes away.
struct Pose {
  double x, y, cosine, sine, size, reach;
};

/// A centre within `spread`, a rotation by twice the angle of a tangent within `turn`, and a size.
/// The draws are statements of their own: compilers evaluate arguments in different orders.
Pose draw_pose(double spread, double turn, double low, double high, RandomStream& stream) {
  const double x = stream.uniform(-spread, spread);
  const double y = stream.uniform(-spread, spread);
  const double t = stream.uniform(-turn, turn);
  const double size = stream.uniform(low, high);
  const double scale = 1 / (1 + t * t);
  return {x, y, (1 - t * t) * scale, 2 * t * scale, size, 1.2};
}

using Colour = std::array<double, kChannels>;

/// A grey of the given lightness, each channel off by up to `tint`.
Colour make_colour(double lightness, double tint, RandomStream& stream) {
  Colour colour;
  for (double& channel : colour) channel = lightness + stream.uniform(-tint, tint);
  return colour;
}

/// Smooth random relief: a lattice of values in [-1, 1], bilinearly interpolated.
class Relief {
 public:
  explicit Relief(RandomStream& stream) : cells_(3 + static_cast<int>(stream.uniform_int(6))) {
    values_.resize(to_size((cells_ + 1) * (cells_ + 1)));
    for (double& value : values_) value = stream.uniform(-1, 1);
  }
  double at(int row, int column) const {
    const double y = (row + 0.5) / kSide * cells_, x = (column + 0.5) / kSide * cells_;
    const int i = static_cast<int>(y), j = static_cast<int>(x);
    const double fy = y - i, fx = x - j;
    return (1 - fy) * ((1 - fx) * value(i, j) + fx * value(i, j + 1)) +
           fy * ((1 - fx) * value(i + 1, j) + fx * value(i + 1, j + 1));
  }

 private:
  double value(int i, int j) const { return values_.data()[i * (cells_ + 1) + j]; }
  int cells_;
  std::vector<double> values_;
};

/// One image in linear colours [C, H, W].
class Drawing {
 public:
  void fill(const Colour& colour, double texture, RandomStream& stream) {
    const Relief relief(stream);
    for (int i = 0; i < kArea; ++i) {
      const double shade = texture * relief.at(i / kSide, i % kSide);
      for (int c = 0; c < kChannels; ++c) pixel(c, i) = colour.data()[c] + shade;
    }
  }

  /// Paints what `inside(local x, local y)` covers, anti-aliased.
  template <class Inside>
  void paint(const Pose& pose, const Colour& colour, double texture, RandomStream& stream,
             Inside&& inside) {
    const Relief relief(stream);
    for (int i = 0; i < kArea; ++i) {
      const double part = coverage(pose, i / kSide, i % kSide, inside);
      if (part == 0) continue;
      const double shade = texture * relief.at(i / kSide, i % kSide);
      for (int c = 0; c < kChannels; ++c)
        pixel(c, i) += part * (colour.data()[c] + shade - pixel(c, i));
    }
  }

  /// Adds noise (the sum of four uniform bytes: near normal) and rounds to bytes.
  void develop(double noise, RandomStream& stream, uint8_t* bytes) const {
    for (int i = 0; i < kChannels * kArea; ++i) {
      const uint32_t bits = stream.next_u32();
      const double sum = (bits & 255) + (bits >> 8 & 255) + (bits >> 16 & 255) + (bits >> 24);
      const double value = pixels_.data()[i] + noise * (sum - 510) / 147.8;
      bytes[i] = static_cast<uint8_t>(std::lround(std::clamp(value, 0.0, 1.0) * 255));
    }
  }

 private:
  double& pixel(int c, int i) { return pixels_.data()[c * kArea + i]; }

  template <class Inside>
  static double coverage(const Pose& pose, int row, int column, Inside&& inside) {
    const double away = squared((row + 0.5) * 2 / kSide - 1 - pose.y) +
                        squared((column + 0.5) * 2 / kSide - 1 - pose.x);
    if (away > squared(pose.size * pose.reach + 1.5 / kSide)) return 0;
    int hits = 0;
    for (int s = 0; s < kSamples * kSamples; ++s) {
      const int down = s / kSamples, across = s % kSamples;
      const double y = (row + (down + 0.5) / kSamples) * 2 / kSide - 1 - pose.y;
      const double x = (column + (across + 0.5) / kSamples) * 2 / kSide - 1 - pose.x;
      hits += inside((pose.cosine * x + pose.sine * y) / pose.size,
                     (pose.cosine * y - pose.sine * x) / pose.size);
    }
    return static_cast<double>(hits) / (kSamples * kSamples);
  }

  std::array<double, kChannels * kArea> pixels_{};
};

void draw(int shape, RandomStream stream, uint8_t* bytes) {
  const Variety& v = kVariety;
  Drawing canvas;
  const double ground = stream.uniform(0.25, 0.45);
  canvas.fill(make_colour(ground, v.tint, stream), v.texture, stream);
  for (int64_t n = stream.uniform_int(v.distractors + 1); n > 0; --n) {
    const int other = static_cast<int>(stream.uniform_int(kClasses));
    const Pose pose = draw_pose(1, 1, 0.15, 0.35, stream);
    const Colour colour = make_colour(stream.uniform(0.1, 0.9), v.tint, stream);
    canvas.paint(pose, colour, v.texture, stream,
                 [other](double x, double y) { return covers(other, x, y); });
  }
  const Pose pose = draw_pose(v.shift, v.turn, v.size_low, v.size_high, stream);
  const double light = ground + v.contrast * stream.uniform(0.6, 1.4);
  canvas.paint(pose, make_colour(light, v.tint, stream), v.texture, stream,
               [shape](double x, double y) { return covers(shape, x, y); });
  for (int64_t n = stream.uniform_int(v.covers + 1); n > 0; --n) {
    Pose bar = draw_pose(0.9, 1, 0.1, 0.25, stream);
    bar.reach = 3.2;
    const Colour colour = make_colour(stream.uniform(0.1, 0.9), v.tint, stream);
    canvas.paint(bar, colour, v.texture, stream,
                 [](double x, double y) { return std::abs(x) < 1 && std::abs(y) < 3; });
  }
  canvas.develop(v.noise, stream, bytes);
}

/// `count` images, the classes in turn; `part` keeps training and test streams apart.
RawImages draw_part(int64_t count, uint64_t part) {
  RawImages images;
  images.pixels.resize(to_size(count * kChannels * kArea));
  images.labels.resize(to_size(count));
  const auto draw_share = [&](int64_t first, int64_t step) {
    for (int64_t i = first; i < count; i += step) {
      const int shape = static_cast<int>(i % kClasses);
      images.labels.data()[i] = shape;
      draw(shape, RandomStream(0, "shapes", part, to_size(i)),
           images.pixels.data() + i * kChannels * kArea);
    }
  };
  const int64_t threads = std::clamp<int64_t>(std::thread::hardware_concurrency(), 1, 16);
  std::vector<std::thread> others;
  for (int64_t t = 1; t < threads; ++t) others.emplace_back(draw_share, t, threads);
  draw_share(0, threads);
  for (std::thread& other : others) other.join();
  return images;
}

}  // namespace

RawDataset make_shapes(double scale) {
  const auto scaled = [scale](double count) {
    return std::max<int64_t>(1, std::llround(count * scale)) * kClasses;
  };
  RawDataset set;
  set.name = "shapes";
  set.reader = "the built-in set";
  set.channels = kChannels;
  set.height = set.width = kSide;
  set.class_names = class_names();
  set.train = draw_part(scaled(1000), 0);
  set.test = draw_part(scaled(200), 1);
  return set;
}

}  // namespace retort::data
