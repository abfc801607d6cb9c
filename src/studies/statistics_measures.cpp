#include "studies/statistics_measures.h"

#include <fmt/format.h>

#include "retort/core/error.h"
#include "retort/core/random.h"
#include "retort/data/class_sampler.h"

namespace retort::studies {

namespace fs = std::filesystem;

namespace {

/// One batch of images and their classes, an equal number of each class.
struct Probes {
  at::Tensor noise, real, labels;
};

Probes draw_probes(const data::Dataset& data, const StatisticsOptions& options) {
  constexpr int64_t kImages = 100;
  const int64_t each = std::max<int64_t>(kImages / data.classes(), 1);
  std::vector<int64_t> rows;
  for (int64_t c = 0; c < data.classes(); ++c) {
    RandomStream stream(static_cast<uint64_t>(options.seed), "study.real",
                        static_cast<uint64_t>(c));
    const std::vector<int64_t> drawn = data::draw_rows(data.train, stream, c, each);
    rows.insert(rows.end(), drawn.begin(), drawn.end());
  }
  const data::Batch batch =
      data::ClassSampler(data.train, data.preprocessing, at::kCPU).batch(rows);
  Probes probes;
  probes.real = batch.images;
  probes.labels = batch.targets;
  probes.noise = at::empty_like(probes.real);
  RandomStream(static_cast<uint64_t>(options.seed), "study.noise")
      .fill_normal(probes.noise.data_ptr<float>(), probes.noise.numel());
  return probes;
}

Measured measure(const Named& one, const Probes& probes) {
  const auto network = one.teacher.build();
  Measured found;
  found.name = one.name;
  found.network = one.teacher.network;
  found.objective = one.teacher.objective;
  found.epochs = one.teacher.epochs;
  found.parameters = network->parameters().size;
  found.control = one.control;
  found.layers = layer_statistics(one.teacher);
  found.noise = signal_of(one.teacher, *network, probes.noise, probes.labels);
  found.real = signal_of(one.teacher, *network, probes.real, probes.labels);
  return found;
}

}  // namespace

std::vector<Named> read_teachers(const std::vector<std::string>& paths, const data::Dataset& data) {
  std::vector<Named> all;
  for (fs::path path : paths) {
    if (!path.has_filename()) path = path.parent_path();
    const bool folder = fs::is_directory(path);
    const fs::path file = folder ? path / "teacher.safetensors" : path;
    Named one{folder ? path.filename().string() : path.stem().string(),
              teachers::read_teacher(file)};
    teachers::check_teacher(one.teacher, "studying the teacher '" + file.string() + "'", data);
    if (!one.teacher.state.defined())
      throw ConfigError(ErrorMessage{"studying the teacher '" + file.string() + "'",
                                     "'" + one.teacher.network + "' keeps no running statistics",
                                     "networks with BatchNorm, such as convnet-bn",
                                     {}});
    all.push_back(std::move(one));
  }
  return all;
}

std::vector<Kind> measure_all(const std::vector<Named>& teachers, const data::Dataset& data,
                              const StatisticsOptions& options, const ProgressStyle& style) {
  const Probes probes = draw_probes(data, options);
  const std::vector<int64_t> rows =
      RandomStream(static_cast<uint64_t>(options.seed), "study.images")
          .sample(data.train.size(), options.images);
  const at::Tensor images = data.train.images.index_select(0, at::tensor(rows, at::kLong));
  std::vector<Kind> kinds{{"stored", {}}, {"recalibrated", {}}};
  Progress progress(style, "bn-statistics", static_cast<int64_t>(2 * teachers.size()));
  int64_t done = 0;
  for (Kind& kind : kinds)
    for (const Named& one : teachers) {
      Named now = one;
      if (kind.name == "recalibrated")
        now.teacher = recalibrated(one.teacher, images, options.batch_size);
      kind.teachers.push_back(measure(now, probes));
      progress.update(++done);
      if (options.gauge <= 0 || one.teacher.objective != "supervised") continue;
      now.teacher = rescaled(now.teacher, options.gauge);
      now.name += fmt::format(" x{:g}", options.gauge);
      now.control = true;
      kind.teachers.push_back(measure(now, probes));
    }
  return kinds;
}

}  // namespace retort::studies
