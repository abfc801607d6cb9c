// Drawing streams of tasks, and making their images from those of the data set.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>

#include "augment/siamese.h"
#include "continual/continual.h"
#include "core/file.h"
#include "core/registry.h"
#include "core/sizes.h"
#include "retort/core/error.h"
#include "retort/core/random.h"
#include "retort/data/class_sampler.h"

namespace retort::continual {
namespace {

/// Turned images are whole images again: rounded bytes, black where nothing was.
at::Tensor turned(const at::Tensor& images, double degrees) {
  const double angle = degrees * std::numbers::pi / 180;
  const auto height = static_cast<double>(images.size(2)),
             width = static_cast<double>(images.size(3));
  const at::Tensor row = augment::identity().clone();
  const double map[] = {std::cos(angle),
                        -std::sin(angle) * height / width,
                        0,
                        std::sin(angle) * width / height,
                        std::cos(angle),
                        0};
  for (int64_t i = 0; i < 6; ++i) row[0][augment::kMap + i] = map[i];
  constexpr int64_t kChunk = 1024;  // bounds the float copy
  std::vector<at::Tensor> pieces;
  for (const at::Tensor& piece : images.split(kChunk))
    pieces.push_back(augment::apply(piece.to(at::kFloat), row).round().clamp(0, 255).to(at::kByte));
  return at::cat(pieces);
}

/// `count` rows of the classes, as evenly as can be, ascending; all for 0.
std::vector<int64_t> draw_samples(const data::Split& split, const std::vector<int64_t>& classes,
                                  int64_t count, RandomStream stream) {
  std::vector<int64_t> rows;
  const auto parts = std::ssize(classes);
  for (int64_t i = 0; i < parts; ++i) {
    const int64_t share = count == 0 ? split.size() : count / parts + (i < count % parts ? 1 : 0);
    const std::vector<int64_t> drawn = data::draw_rows(split, stream, classes[to_size(i)], share);
    rows.insert(rows.end(), drawn.begin(), drawn.end());
  }
  std::sort(rows.begin(), rows.end());
  return rows;
}

void check(const data::Dataset& data, const ContinualOptions& options, const StreamKind& kind) {
  Problems problems;
  const std::string tasks = kind.once ? "--tasks" : "--steps";
  const int64_t classes = data.classes();
  if (kind.new_classes && (options.tasks > classes || classes % options.tasks != 0))
    problems.add(fmt::format(
        "'{}' has {} classes: they cannot be dealt out evenly over {} tasks; give {} a divisor of "
        "{}, or keep some of the classes with --classes",
        data.name, classes, options.tasks, tasks, classes));
  if (kind.new_classes && classes / std::max<int64_t>(options.tasks, 1) < 2 && kind.masked)
    problems.add("a task of one class has nothing to tell apart: give fewer --tasks");
  const int64_t per_task = kind.new_classes ? classes / options.tasks : classes;
  int64_t fewest = data.train.size();
  for (const auto& members : data.train.rows_by_class)
    fewest = std::min(fewest, std::ssize(members));
  if (options.samples_per_task > 0 && per_task > 0) {
    if (options.samples_per_task < per_task)
      problems.add(fmt::format("{} samples a task are less than one of each of its {} classes",
                               options.samples_per_task, per_task));
    if ((options.samples_per_task + per_task - 1) / per_task > fewest)
      problems.add(fmt::format(
          "{} samples a task are more than there are: the smallest class of '{}' has {}, {} "
          "classes a task; give at most --samples-per-task {}",
          options.samples_per_task, data.name, fewest, per_task, fewest * per_task));
  }
  if (data.test.size() == 0) problems.add("the test part is empty");
  for (const auto& members : data.test.rows_by_class)
    if (members.empty() && data.test.size() > 0) {
      problems.add("the test part has no image of some class");
      break;
    }
  if (data.preprocessing.kind() == "zca")
    problems.add(
        "zca would be fitted to tasks that are yet to come: choose another "
        "--normalisation");
  problems.raise("drawing the stream '" + kind.name + "'");
}

}  // namespace

const std::vector<StreamKind>& stream_kinds() {
  static const std::vector<std::string> of_digits = {
      "A task's samples are balanced over the classes and normalised as the data set is; La-MAML "
      "draws them from all images at random, as pixels from 0 to 1."};
  static const std::vector<StreamKind> table = {
      {"class-incremental", "new classes a step, a network retrained on the stored sets (DM)", true,
       false, false, 5, 0, 0, 1, "convnet", "dm"},
      {"rotations", "all classes, turned by another angle of 0 to 180 degrees every task", false,
       false, true, 20, 1000, 200, 5, "mlp-w100", "dc", of_digits},
      {"permutations", "all classes, another permutation of the pixels every task", false, false,
       true, 20, 1000, 200, 5, "mlp-w100", "dc", of_digits},
      {"many-permutations", "the same with more and smaller tasks", false, false, true, 100, 200,
       500, 5, "mlp-w100", "dc", of_digits},
      {"incremental", "new classes every task, which is known at the test", true, true, true, 20, 0,
       200, 2, "strided", "dm"},
  };
  return table;
}

const StreamKind& find_stream(const std::string& name) {
  return find_entry<StreamKind>(stream_kinds(), "stream", name);
}

TaskStream::TaskStream(const data::Dataset& data, const ContinualOptions& options, int64_t order)
    : data_(data),
      kind_(find_stream(options.stream)),
      order_(order),
      test_samples_(options.test_samples),
      seed_(options.seed) {
  check(data, options, kind_);
  const auto seed = static_cast<uint64_t>(seed_), index = static_cast<uint64_t>(order);
  std::vector<int64_t> classes(to_size(data.classes()));
  std::iota(classes.begin(), classes.end(), 0);
  if (kind_.new_classes) classes = class_order(data.classes(), order, seed);
  const auto count = static_cast<double>(options.tasks);
  const size_t share = classes.size() / to_size(options.tasks);
  for (int64_t t = 0; t < options.tasks; ++t) {
    const auto number = static_cast<uint64_t>(t);
    Task task{classes};
    if (kind_.new_classes) {
      const auto first = classes.begin() + t * static_cast<int64_t>(share);
      task.classes.assign(first, first + static_cast<int64_t>(share));
    } else if (kind_.name == "rotations") {
      // One angle out of each task's own slice of the half turn, as published.
      task.angle = RandomStream(seed, "continual.angle", index, number)
                       .uniform(180 * static_cast<double>(t) / count,
                                180 * static_cast<double>(t + 1) / count);
    } else {
      task.pixel_seed = RandomStream(seed, "continual.pixel_seed", index, number).next_u32();
      task.pixels =
          RandomStream(task.pixel_seed, "continual.pixels").permutation(data.height * data.width);
    }
    task.rows = draw_samples(data.train, task.classes, options.samples_per_task,
                             RandomStream(seed, "continual.samples", index, number));
    tasks_.push_back(std::move(task));
  }
  tests_.resize(tasks_.size());
}

at::Tensor TaskStream::moved(const at::Tensor& images, const Task& task) const {
  if (task.angle != 0) return turned(images, task.angle);
  if (task.pixels.empty()) return images;
  const at::Tensor from = at::tensor(task.pixels, at::kLong);
  return images.flatten(2).index_select(2, from).view(images.sizes());
}

data::Dataset TaskStream::arrive(int64_t index) const {
  const Task& task = this->task(index);
  const at::Tensor rows = at::tensor(task.rows, at::kLong);
  at::Tensor local = at::full({data_.classes()}, -1, at::kLong);
  data::Dataset samples;
  for (size_t i = 0; i < task.classes.size(); ++i) {
    local[task.classes[i]] = static_cast<int64_t>(i);
    samples.class_names.push_back(data_.class_names[to_size(task.classes[i])]);
  }
  samples.name = data_.name;
  samples.reader = data_.reader;
  samples.channels = data_.channels;
  samples.height = data_.height;
  samples.width = data_.width;
  samples.preprocessing = data_.preprocessing;
  samples.train = data::make_split(moved(data_.train.images.index_select(0, rows), task),
                                   local.index_select(0, data_.train.labels.index_select(0, rows)),
                                   samples.classes());
  const std::string text =
      fmt::format("{} {} {} {} {} {}", data_.hash, kind_.name, task.angle, task.pixel_seed,
                  fmt::join(task.classes, ","), fmt::join(task.rows, ","));
  samples.hash = hex(hash_bytes(text.data(), text.size()));
  samples.split = data_.split;  // of the whole, whose training part they are from
  return samples;
}

const data::Split& TaskStream::test(int64_t index) const {
  data::Split& test = tests_.at(to_size(index));
  if (test.labels.defined()) return test;
  const Task& task = this->task(index);
  const at::Tensor rows = at::tensor(
      draw_samples(data_.test, task.classes, test_samples_,
                   RandomStream(static_cast<uint64_t>(seed_), "continual.test",
                                static_cast<uint64_t>(order_), static_cast<uint64_t>(index))),
      at::kLong);
  test = data::make_split(moved(data_.test.images.index_select(0, rows), task),
                          data_.test.labels.index_select(0, rows), data_.classes());
  return test;
}

Json TaskStream::record() const {
  Json tasks = Json::array();
  for (const Task& task : tasks_) {
    Json one{{"samples", task.rows.size()}};
    if (kind_.new_classes) one["classes"] = task.classes;
    if (kind_.name == "rotations") one["angle"] = task.angle;
    if (!task.pixels.empty()) one["pixel_seed"] = task.pixel_seed;
    tasks.push_back(one);
  }
  return {{"kind", "order"}, {"stream", kind_.name}, {"order", order_}, {"tasks", tasks}};
}

}  // namespace retort::continual
