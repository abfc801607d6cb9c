// Training a teacher epoch by epoch, its linear probe, and the folder that keeps both.
#include "retort/teachers/squeeze.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <numeric>
#include <optional>

#include "retort/augment/siamese.h"
#include "retort/augment/views.h"
#include "retort/augment/window.h"
#include "retort/core/device.h"
#include "retort/core/error.h"
#include "retort/core/limits.h"
#include "retort/core/note.h"
#include "retort/core/records.h"
#include "retort/core/version.h"
#include "retort/io/checkpoint.h"
#include "retort/io/metadata.h"
#include "retort/optim/optimizer.h"
#include "retort/optim/schedule.h"
#include "retort/train/trainer.h"
#include "teachers/probe.h"
#include "teachers/squeeze_objective.h"

namespace retort::teachers {
namespace {

namespace fs = std::filesystem;

constexpr const char* kFormat = "retort.squeeze_checkpoint";
constexpr std::string_view kMemory = "memory.";

bool flips(const data::Dataset& data) {
  return augment::default_strategy(data.name).find("flip") != std::string::npos;
}

std::string augmentation_of(const SqueezeInput& input) {
  if (input.options.augmentation != "auto") return input.options.augmentation;
  if (input.options.objective != "supervised") return "views";
  return flips(input.data) ? "shift_flip" : "shift";
}

double rate_of(const SqueezeOptions& options, int64_t epoch) {
  const optim::Schedule schedule("cosine", {static_cast<double>(options.warmup_epochs)});
  return options.learning_rate *
         schedule.factor(static_cast<double>(epoch), static_cast<double>(options.epochs));
}

std::unique_ptr<optim::Optimizer> sgd_of(const SqueezeOptions& options, const at::Tensor& value) {
  return optim::make_optimizer({.name = "sgd",
                                .momentum = options.momentum,
                                .weight_decay = options.weight_decay,
                                .late_decay = true},
                               value);
}

/// Batches of views, in network-input space.
class Views {
 public:
  explicit Views(const SqueezeInput& input) : input_(input), augmentation_(augmentation_of(input)) {
    for (at::Tensor* tensor : {&mean_, &deviation_}) {
      const auto& values =
          tensor == &mean_ ? input.data.preprocessing.mean() : input.data.preprocessing.deviation();
      if (values.empty()) continue;
      *tensor = at::tensor(values, at::kDouble).to(at::kFloat).view({-1, 1, 1}).to(input.device);
    }
    if (!flips(input.data)) view_.flip = 0;
  }

  at::Tensor get(const at::Tensor& bytes, RandomStream stream) const {
    at::Tensor x = view(bytes.to(input_.device).to(at::kFloat).div_(255), stream);
    return mean_.defined() ? (x - mean_) / deviation_ : x;
  }

 private:
  at::Tensor view(const at::Tensor& pixels, RandomStream& stream) const {
    if (augmentation_ == "none") return pixels;
    if (augmentation_ == "views") return augment::random_views(pixels, view_, stream);
    const int64_t height = pixels.size(2), width = pixels.size(3);
    std::vector<augment::Window> windows;
    for (int64_t i = 0; i < pixels.size(0); ++i) {
      windows.push_back(augmentation_ == "crop_flip"
                            ? augment::draw_window(height, width, 0.08, 1, 4.0 / 3, stream)
                            : augment::draw_shift(height, width, height / 8, stream));
      windows.back().flip = augmentation_ != "shift" && stream.uniform() < 0.5;
    }
    return augment::WindowMap(windows, {height, width}, {height, width}, pixels.options())
        .apply(pixels);
  }

  const SqueezeInput& input_;
  const std::string augmentation_;
  augment::ViewOptions view_;
  at::Tensor mean_, deviation_;  // [C, 1, 1]; undefined: pixels are inputs
};

/// One training, and what it needs to be gone on with.
class Squeeze {
 public:
  Squeeze(const SqueezeInput& input, fs::path folder)
      : input_(input),
        options_(input.options),
        folder_(std::move(folder)),
        views_(input),
        objective_(make_squeeze_objective(options_, input.network, input.device)),
        rows_(rows_of(input)) {}

  SqueezeOutcome run() {
    if (std::optional<Teacher> made = finished())
      return {std::move(*made), options_.epochs, kUnknown, false, false};
    int64_t done = resume_or_begin();
    RecordWriter records(folder_ / "records.jsonl", done == 0 ? -1 : done);
    if (done == 0) records.write(opening());
    Progress progress(input_.progress, label() + ", steps", options_.epochs * batches(),
                      done * batches());
    double loss = kUnknown;
    while (done < options_.epochs) {
      const auto begin = std::chrono::steady_clock::now();
      const std::optional<double> now = epoch(done, loss, progress);
      if (!now) return {{}, done, loss, false, true};
      loss = *now;
      progress.update(++done * batches(), loss);
      records.write({{"kind", "iteration"},
                     {"iteration", done},
                     {"loss", loss},
                     {"learning_rate", rate_of(options_, done - 1)},
                     {"seconds", seconds_since(begin)},
                     {"peak_memory_bytes", peak_memory_bytes()}});
      // A teacher before the checkpoint: a kill between the two makes it again.
      if (options_.keep_every > 0 && done % options_.keep_every == 0 && done < options_.epochs)
        write_teacher(folder_ / fmt::format("teacher_{:04d}.safetensors", done), teacher(done));
      if (done % options_.checkpoint_every == 0 || done == options_.epochs) save(done);
    }
    SqueezeOutcome outcome{teacher(done), done, loss, true, false};
    write_teacher(teacher_path(folder_), outcome.teacher);
    records.write({{"kind", "finish"},
                   {"iteration", done},
                   {"accuracy", outcome.teacher.validation_accuracy},
                   {"peak_memory_bytes", peak_memory_bytes()}});
    return outcome;
  }

 private:
  static constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

  /// The teacher of an earlier start; nothing where it is damaged, and made again.
  std::optional<Teacher> finished() const {
    if (!fs::exists(teacher_path(folder_))) return {};
    try {
      return read_teacher(teacher_path(folder_));
    } catch (const DataError& problem) {
      if (!fs::exists(folder_ / "checkpoint.safetensors")) throw;
      const std::string text = problem.what();
      say_note(input_.progress, text.substr(0, text.find('\n')) + " It is made again");
      return {};
    }
  }

  static std::vector<int64_t> rows_of(const SqueezeInput& input) {
    const int64_t size = input.data.train.size(), wanted = input.options.images;
    if (wanted > 0 && wanted < size) {
      std::vector<int64_t> rows =
          RandomStream(input.split_seed, "squeeze.images").sample(size, wanted);
      std::sort(rows.begin(), rows.end());  // reading a mapped file is quicker forwards
      return rows;
    }
    std::vector<int64_t> rows(static_cast<size_t>(size));
    std::iota(rows.begin(), rows.end(), 0);
    return rows;
  }

  static double seconds_since(std::chrono::steady_clock::time_point begin) {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  }

  std::string label() const {
    return fmt::format("{} {} on {}", options_.objective, input_.network.name(), input_.data.name);
  }

  Json opening() const {
    return {{"kind", "run"},
            {"program_version", version()},
            {"method", "squeeze"},
            {"objective", options_.objective},
            {"network", input_.network.name()},
            {"parameters", input_.network.parameters().size},
            {"data", input_.data.name},
            {"data_hash", input_.data.hash},
            {"images", rows_.size()},
            {"augmentation", augmentation_of(input_)},
            {"device", input_.device.str()},
            {"seed", options_.seed}};
  }

  RandomStream stream(const char* purpose, int64_t a = 0, int64_t b = 0, int64_t c = 0) const {
    return RandomStream(static_cast<uint64_t>(options_.seed), purpose, static_cast<uint64_t>(a),
                        static_cast<uint64_t>(b), static_cast<uint64_t>(c));
  }

  int64_t resume_or_begin() {
    const fs::path path = folder_ / "checkpoint.safetensors";
    if (fs::exists(path)) return load(path);
    now_.theta = input_.network.initial(stream("squeeze.initial")).to(input_.device);
    if (input_.network.state().size > 0)
      now_.state = input_.network.initial_state().to(input_.device);
    now_.head = objective_->initial_head(stream("squeeze.head")).to(input_.device);
    make_optimizers();
    objective_->begin(now_);
    return 0;
  }

  void make_optimizers() {
    theta_optimizer_ = sgd_of(options_, now_.theta);
    head_optimizer_ = sgd_of(options_, now_.head);
  }

  void save(int64_t done) const {
    TensorMap tensors = {{"theta", now_.theta},
                         {"head", now_.head},
                         {"velocity.theta", theta_optimizer_->state().at("velocity")},
                         {"velocity.head", head_optimizer_->state().at("velocity")}};
    if (now_.state.defined()) tensors["state"] = now_.state;
    for (const auto& [name, tensor] : objective_->memory())
      tensors[std::string(kMemory) + name] = tensor;
    save_checkpoint(
        folder_ / "checkpoint.safetensors", tensors,
        {{"format", kFormat}, {"epoch", std::to_string(done)}, {"data_hash", input_.data.hash}});
  }

  int64_t load(const fs::path& path) {
    const Checkpoint checkpoint = load_checkpoint(path);
    say_note(input_.progress, checkpoint.note);
    const TensorFile& file = checkpoint.file;
    const MetadataReader reader(file.metadata, checkpoint.path, "a checkpoint",
                                "a checkpoint of retort squeeze");
    if (reader.text("format") != kFormat) reader.refuse("it is no such checkpoint");
    if (reader.text("data_hash") != input_.data.hash)
      throw StateError(ErrorMessage{"going on with '" + path.string() + "'",
                                    "it is of data of hash " + reader.text("data_hash"),
                                    "the data's hash " + input_.data.hash,
                                    "give the data it was begun with"});
    const auto get = [&](const std::string& name, int64_t size) {
      const at::Tensor value = tensor_of(file, name, checkpoint.path);
      if (value.dim() != 1 || value.size(0) != size)
        reader.refuse("'" + name + "' has another length");
      return value.to(input_.device);
    };
    const int64_t head = objective_->initial_head(stream("squeeze.head")).size(0);
    now_ = {get("theta", input_.network.parameters().size), {}, get("head", head)};
    if (input_.network.state().size > 0) now_.state = get("state", input_.network.state().size);
    make_optimizers();
    theta_optimizer_->state().at("velocity").copy_(get("velocity.theta", now_.theta.size(0)));
    head_optimizer_->state().at("velocity").copy_(get("velocity.head", head));
    TensorMap memory;
    for (const auto& [name, tensor] : file.tensors)
      if (name.rfind(kMemory, 0) == 0) memory[name.substr(kMemory.size())] = tensor;
    objective_->restore(memory);
    const auto epoch = reader.number("epoch");
    if (epoch < 1 || epoch > options_.epochs)
      reader.refuse(fmt::format("its epoch is {}, of {}", epoch, options_.epochs));
    return epoch;
  }

  int64_t batch() const {
    return std::min(options_.batch_size, static_cast<int64_t>(rows_.size()));
  }
  // Contrast needs full batches; a small last one would also spoil BatchNorm's statistics.
  int64_t batches() const {
    const auto size = static_cast<int64_t>(rows_.size());
    return objective_->views() > 1 ? size / batch() : (size + batch() - 1) / batch();
  }

  /// One pass; its mean loss, or nothing where a stop was asked for in the middle. `before` is the
  /// loss of the pass before.
  std::optional<double> epoch(int64_t index, double before, Progress& progress) {
    const auto size = static_cast<int64_t>(rows_.size());
    const std::vector<int64_t> order = stream("squeeze.order", index).permutation(size);
    at::Tensor sum = at::zeros({}, at::TensorOptions(input_.device).dtype(at::kDouble));
    int64_t seen = 0;
    for (int64_t b = 0; b < batches(); ++b) {
      if (input_.stop && input_.stop->requested()) return {};
      progress.update(index * batches() + b,
                      std::isfinite(before) ? std::optional(before) : std::nullopt);
      std::vector<int64_t> rows;
      for (int64_t i = b * batch(); i < std::min((b + 1) * batch(), size); ++i)
        rows.push_back(rows_[static_cast<size_t>(order[static_cast<size_t>(i)])]);
      sum.add_(step(rows, index, b).to(at::kDouble), static_cast<double>(rows.size()));
      seen += static_cast<int64_t>(rows.size());
    }
    const double loss = sum.item<double>() / static_cast<double>(seen);
    if (!std::isfinite(loss))
      throw StateError(ErrorMessage{fmt::format("squeezing, epoch {}", index + 1),
                                    fmt::format("the mean loss is {}", loss), "a finite loss",
                                    "lower --learning-rate"});
    return loss;
  }

  at::Tensor step(const std::vector<int64_t>& rows, int64_t epoch, int64_t batch) {
    const at::Tensor index = at::tensor(rows, at::kLong);
    const at::Tensor bytes = input_.data.train.images.index_select(0, index);
    const at::Tensor labels = input_.data.train.labels.index_select(0, index).to(input_.device);
    std::vector<at::Tensor> views;
    for (int64_t v = 0; v < objective_->views(); ++v)
      views.push_back(views_.get(bytes, stream("squeeze.view", epoch, batch, v)));
    const LearnerStep found =
        objective_->step(now_, views, labels, stream("squeeze.step", epoch, batch));
    theta_optimizer_->step(now_.theta, found.theta, rate_of(options_, epoch));
    head_optimizer_->step(now_.head, found.head, rate_of(options_, epoch));
    if (now_.state.defined()) now_.state = found.state;
    return found.loss;
  }

  /// The teacher as it would be now: statistics, probe, accuracy.
  Teacher teacher(int64_t done) const {
    const data::Dataset& data = input_.data;
    at::Tensor theta = now_.theta.clone(), state = now_.state;
    if (options_.statistics == "clean" && state.defined()) state = measured_statistics();
    if (options_.objective != "supervised") {
      const ProbeOptions probe{options_.probe_epochs, options_.probe_learning_rate,
                               options_.batch_size, static_cast<uint64_t>(options_.seed)};
      theta = probed(input_.network, theta, state, data, rows_, probe, input_.device);
    }
    const data::Split& judge = data.validation.size() > 0 ? data.validation : data.test;
    Teacher result;
    result.network = input_.network.name();
    result.shape = input_.network.shape();
    result.validation_accuracy =
        train::accuracy(input_.network, {theta, state}, judge, data.preprocessing, input_.device);
    result.theta = theta.to(at::kCPU);
    if (state.defined()) result.state = state.to(at::kCPU);
    result.preprocessing = data.preprocessing;
    result.class_names = data.class_names;
    result.data_name = data.name;
    result.data_hash = data.hash;
    result.split = data.split;
    result.objective = options_.objective;
    result.statistics = options_.statistics;
    result.epochs = done;
    result.recipe = input_.recipe;
    return result;
  }

  at::Tensor measured_statistics() const {
    std::vector<int64_t> rows;
    const auto size = static_cast<int64_t>(rows_.size());
    for (const int64_t i : stream("squeeze.statistics").sample(size, options_.statistics_images))
      rows.push_back(rows_[static_cast<size_t>(i)]);
    return clean_statistics(input_.network, now_.theta,
                            input_.data.train.images.index_select(0, at::tensor(rows, at::kLong)),
                            input_.data.preprocessing, options_.batch_size);
  }

  const SqueezeInput& input_;
  const SqueezeOptions& options_;
  const fs::path folder_;
  const Views views_;
  std::unique_ptr<SqueezeObjective> objective_;
  const std::vector<int64_t> rows_;  // of the training part
  Learner now_;
  std::unique_ptr<optim::Optimizer> theta_optimizer_, head_optimizer_;
};

}  // namespace

void SqueezeOptions::declare(OptionSet& set) {
  set.group("Squeeze");
  set.add("network", network, "the teacher's network; `retort list networks`");
  set.add("objective", objective, "what it is trained for",
          {.choices = {"supervised", "moco", "simsiam"}});
  set.add("images", images, "training images, drawn once by --split-seed; 0: all", {.min = 0});
  set.add("epochs", epochs, "passes over them; 0: the network as it begins",
          {.min = 0, .max = 1e5});
  set.add("learning_rate", learning_rate, "of SGD; half a cosine to 0", {.min = 0, .max = 1e3});
  set.add("momentum", momentum, "of SGD", {.min = 0, .max = 0.9999});
  set.add("weight_decay", weight_decay, "added to the gradient", {.min = 0, .max = 1});
  set.add("batch_size", batch_size, "images of a step", {.min = 2, .max = 1e6});
  set.add("warmup_epochs", warmup_epochs, "straight up from a hundredth of the rate", {.min = 0});
  set.add("augmentation", augmentation,
          "shift_flip: padded crops; crop_flip: resized crops; views: those of MoCo v2",
          {.choices = {"auto", "none", "shift", "shift_flip", "crop_flip", "views"}});
  set.add("projection", projection, "numbers of a projected image", {.min = 2, .max = 65536});
  set.add("temperature", temperature, "moco: of the similarities", {.min = 1e-3, .max = 100});
  set.add("queue", queue, "moco: keys of earlier batches", {.min = 1, .max = 1 << 24});
  set.add("key_momentum", key_momentum, "moco: of the network that makes keys",
          {.min = 0, .max = 1});
  set.add("splits", splits, "moco: parts of a batch of keys, each with BatchNorm of its own",
          {.min = 1, .max = 1024});
  set.add("probe_epochs", probe_epochs, "of a linear layer on frozen features",
          {.min = 0, .max = 1e5});
  set.add("probe_learning_rate", probe_learning_rate, "of AdamW, for it", {.min = 0, .max = 1e3});
  set.add("statistics", statistics,
          "BatchNorm's: as trained, or measured anew on images without augmentation",
          {.choices = {"training", "clean"}});
  set.add("statistics_images", statistics_images, "at most, for clean statistics", {.min = 2});
  set.add("keep_every", keep_every, "epochs between teachers that are kept; 0: the last only",
          {.min = 0});
  set.add("checkpoint_every", checkpoint_every, "epochs between checkpoints", {.min = 1},
          Role::kExecution);
  set.add("seed", seed, "seed of all random draws", {.min = 0, .max = kLargestSeed});
}

void check_squeeze(const SqueezeInput& input) {
  const std::string doing = "squeezing into '" + input.network.name() + "'";
  const SqueezeOptions& options = input.options;
  if (input.data.preprocessing.kind() == "zca")
    throw ConfigError(ErrorMessage{doing, "--normalisation zca", "auto, computed or none",
                                   "views and pixel boxes need one mean and deviation a channel"});
  const int64_t size = options.images > 0 ? std::min(options.images, input.data.train.size())
                                          : input.data.train.size();
  if (options.objective != "supervised" && size < 2 * options.splits)
    throw ConfigError(ErrorMessage{doing, fmt::format("{} training images", size),
                                   fmt::format("two for each of {} splits", options.splits),
                                   "lower --splits"});
  if (options.objective == "moco" && options.queue < std::min(options.batch_size, size))
    throw ConfigError(ErrorMessage{doing,
                                   fmt::format("--queue {}", options.queue),
                                   fmt::format("at least the batch of {}", options.batch_size),
                                   {}});
}

FolderKind squeeze_folder_kind() {
  return {"folder of a teacher", ""};
}

fs::path teacher_path(const fs::path& folder) {
  return folder / "teacher.safetensors";
}

SqueezeOutcome squeeze(const SqueezeInput& input, const fs::path& folder) {
  return Squeeze(input, folder).run();
}

}  // namespace retort::teachers
