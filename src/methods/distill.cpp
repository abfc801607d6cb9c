// One distillation run: start or go on, loop, checkpoint, result.
#include "retort/methods/distill.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <numeric>
#include <optional>

#include "methods/outer_loop.h"
#include "methods/previews.h"
#include "methods/runaway.h"
#include "methods/start.h"
#include "retort/augment/siamese.h"
#include "retort/core/device.h"
#include "retort/core/error.h"
#include "retort/core/limits.h"
#include "retort/core/note.h"
#include "retort/core/safe_point.h"
#include "retort/core/version.h"
#include "retort/optim/optimizer.h"
#include "retort/optim/schedule.h"
#include "retort/synthetic/contrast.h"

namespace retort::methods {
namespace {

using Clock = std::chrono::steady_clock;

/// One run under way: what distill() and its steps share.
struct Run {
  const DistillInput& input;
  const RunFolder& folder;
  synthetic::SetLayout layout;  // of the images that are trained on
  double seconds_before = 0;
  Clock::time_point begin = Clock::now();

  double seconds_of_start() const {
    return std::chrono::duration<double>(Clock::now() - begin).count();
  }
  double seconds() const { return seconds_before + seconds_of_start(); }
};

/// Training images of each class.
std::vector<int64_t> sizes_of(const data::Dataset& data) {
  std::vector<int64_t> sizes;
  for (const auto& members : data.train.rows_by_class)
    sizes.push_back(static_cast<int64_t>(members.size()));
  return sizes;
}

/// The images of each class whose bytes the options allow.
synthetic::SetLayout budget_of(const data::Dataset& data, const DistillOptions& options) {
  return {synthetic::parse_images_per_class(options.images_per_class, data.class_names,
                                            sizes_of(data), data.class_ids),
          data.channels, data.height, data.width};
}

/// Classes that are asked for more images than they have.
std::vector<std::string> too_small(const data::Dataset& data, const DistillOptions& options) {
  return synthetic::classes_too_small(budget_of(data, options).counts, data.class_names,
                                      sizes_of(data));
}

/// Methods that choose real images cannot choose more than there are.
void require_enough(const DistillInput& input) {
  std::vector<std::string> problems = too_small(input.data, input.options);
  if (problems.empty()) return;
  const std::vector<int64_t> sizes = sizes_of(input.data);
  const int64_t most = *std::min_element(sizes.begin(), sizes.end());
  throw ConfigError(ErrorMessage{
      "choosing " + input.options.images_per_class + " images of each class",
      fmt::format("{}", fmt::join(problems, "; ")), "as many as there are",
      fmt::format("give --images-per-class {} or fewer, proportional:TOTAL, a file of CLASS=COUNT "
                  "lines, or a method that learns images",
                  std::max<int64_t>(most, 1))});
}

/// What a user should know of a run before it begins.
std::vector<std::string> notes_on(const DistillInput& input) {
  std::vector<std::string> notes;
  const std::string begun = input.options.initialisation == "noise"
                                ? "all begin from noise"
                                : "those beyond begin from the same ones again, with noise";
  if (!input.options.init_from.empty()) return notes;
  const std::vector<std::string> few = too_small(input.data, input.options);
  if (few.size() == 1) notes.push_back(few.front() + ": " + begun);
  if (few.size() < 2) return notes;
  const std::vector<int64_t> counts = budget_of(input.data, input.options).counts,
                             sizes = sizes_of(input.data);
  const int64_t small =
      std::inner_product(counts.begin(), counts.end(), sizes.begin(), int64_t{0}, std::plus<>(),
                         [](int64_t asked, int64_t there) { return asked > there ? 1 : 0; });
  notes.push_back(
      fmt::format("{} of {} classes have fewer training images than are asked ({}; {}{}): {}",
                  small, counts.size(), few[0], few[1], small > 2 ? "; and so on" : "", begun));
  return notes;
}

std::unique_ptr<synthetic::Parametrisation> parametrise(const DistillInput& input) {
  synthetic::ParametrisationInput wanted{budget_of(input.data, input.options), input.device,
                                         static_cast<uint64_t>(input.options.seed)};
  const bool whitened = input.data.preprocessing.kind() == "zca";
  if (input.options.clamp_pixels && whitened)
    throw ConfigError(ErrorMessage{"preparing '" + input.options.method + "'",
                                   "whitened images have no black and white to stay between",
                                   "another --normalisation", "or give --clamp-pixels=no"});
  wanted.clamp = input.options.clamp_pixels;
  if (!whitened) {
    const at::Tensor pixel = at::zeros({1, input.data.channels, 1, 1}, at::kByte);
    wanted.lowest = input.data.preprocessing.apply(pixel, input.device);
    wanted.highest = input.data.preprocessing.apply(pixel + 255, input.device);
  }
  return input.parametrisation.make(wanted);
}

void require_pixels(const DistillOptions& options) {
  if (options.parametrisation == "pixels") return;
  throw ConfigError(
      ErrorMessage{"preparing '" + options.method + "'",
                   "it chooses real images, which '" + options.parametrisation + "' does not hold",
                   "--parametrisation pixels", "or choose a method that learns images"});
}

std::string augmentation_of(const DistillInput& input) {
  const std::string& asked = input.options.augmentation;
  return asked == "auto" ? augment::default_strategy(input.data.name) : asked;
}

/// `geometry` must outlive it.
Context context_of(const DistillInput& input, const synthetic::SetLayout& layout) {
  return {input.data,
          input.network,
          layout,
          augmentation_of(input),
          static_cast<uint64_t>(input.options.seed),
          input.device,
          {},
          input.options.iterations,
          input.progress};
}

/// Null where the method learns images.
std::unique_ptr<Selector> builder_of(const DistillInput& input, const Context& context) {
  auto builder = input.method.selector(context);
  if (!builder) return {};
  require_pixels(input.options);
  require_enough(input);
  return builder;
}

synthetic::Bundle make_bundle(const Run& run, at::Tensor images) {
  const DistillOptions& options = run.input.options;
  synthetic::Bundle bundle;
  bundle.images = images.detach().to(at::kCPU, at::kFloat).contiguous();
  bundle.labels = run.layout.labels();
  bundle.class_names = run.input.data.class_names;
  bundle.preprocessing = run.input.data.preprocessing;
  bundle.method = options.method;
  bundle.parametrisation = options.parametrisation;
  bundle.data_name = run.input.data.name;
  bundle.data_hash = run.input.data.hash;
  bundle.split = run.input.data.split;
  bundle.recipe = run.input.recipe;
  bundle.protocol = options.protocol;
  bundle.network = options.network;
  bundle.augmentation = augmentation_of(run.input);
  bundle.seed = options.seed;
  bundle.program_version = version();
  bundle.storage_bytes = bundle.stored_bytes();
  return bundle;
}

/// Random choices look at no network, and methods with a teacher at that one.
bool uses_network(const DistillInput& input) {
  OptionSet own;
  input.method.declare(own);
  return !own.find("teacher") && input.options.method != "random";
}

Json opening_record(const Run& run, const synthetic::Bundle& bundle) {
  Json deviations = Json::array(), notes = Json::array();
  for (const auto& text : run.input.method.deviations()) deviations.push_back(text);
  for (const auto& text : run.input.data.notes) notes.push_back(text);
  for (const auto& text : notes_on(run.input)) notes.push_back(text);
  Json storage = Json::object();
  for (const auto& [name, bytes] : bundle.storage()) storage[name] = bytes;
  return {{"kind", "run"},
          {"program_version", version()},
          {"method", bundle.method},
          {"data", bundle.data_name},
          {"data_hash", bundle.data_hash},
          {"split", bundle.split.words()},
          {"classes", bundle.classes()},
          {"images_per_class", run.input.options.images_per_class},
          {"images", run.layout.size()},
          {uses_network(run.input) ? "network" : "student_network", bundle.network},
          {"engine", run.input.network.engine_name(nets::Work::kGradient, run.input.device)},
          {"device", run.input.device.str()},
          {"threads", run.input.threads},
          {"seed", bundle.seed},
          {"parametrisation", bundle.parametrisation},
          {"storage", storage},
          {"storage_bytes", bundle.storage_bytes},
          {"images_per_class_equivalents", bundle.images_per_class_equivalents()},
          {"deviations", deviations},
          {"notes", notes}};
}

/// What is to be expected, said once some iterations have been measured: the first are slower.
void say_estimate(const Run& run, int64_t measured, int64_t left) {
  const double each = run.seconds_of_start() / static_cast<double>(measured);
  if (!run.input.progress.out || each * static_cast<double>(left) < 60) return;
  *run.input.progress.out << fmt::format(
      "{}expected: {} for {} more iterations of {}, peak memory {} so far\n",
      run.input.progress.terminal ? "\r\033[K" : "",
      format_duration(each * static_cast<double>(left)), left, format_duration(each),
      format_bytes(static_cast<double>(peak_memory_bytes())));
}

/// Writes the result; the finishing record comes last, so that a kill before it repeats this.
DistillOutcome finish(const Run& run, RecordWriter& records, synthetic::Bundle bundle,
                      int64_t iteration, double loss) {
  save_preview(run.folder.images() / "final.png", bundle);
  save_bases(run.folder.images() / "bases.png", bundle);
  synthetic::save_bundle(run.folder.bundle(), bundle);
  const double seconds = run.seconds();
  Json record{{"kind", "finish"},
              {"iteration", iteration},
              {"seconds", seconds},
              {"peak_memory_bytes", peak_memory_bytes()}};
  std::vector<std::string> notes;  // the page shows them
  for (const Json& earlier : read_records(run.folder.records()))
    if (earlier.value("kind", "") == "warning") notes.push_back(earlier.value("text", ""));
  const std::string note = synthetic::flatness_note(bundle, run.input.data.train.images);
  if (!note.empty()) notes.push_back(note);
  if (!notes.empty()) record["notes"] = notes;
  if (!note.empty() && run.input.progress.out) *run.input.progress.out << "note: " << note << "\n";
  records.write(record);
  return {std::move(bundle), false, iteration, loss, seconds};
}

DistillOutcome build(const Run& run, Selector& builder) {
  run.folder.update_recipe();
  RecordWriter records(run.folder.records(), 0);
  at::Tensor images = builder.compose();
  if (!images.defined()) images = rows_as_input(run.input, builder.select());
  synthetic::Bundle bundle = make_bundle(run, images);
  if (read_records(run.folder.records()).empty()) records.write(opening_record(run, bundle));
  return finish(run, records, std::move(bundle), run.input.options.iterations, 0);
}

/// Seconds that earlier starts spent up to `iteration`.
double seconds_through(const std::vector<Json>& records, int64_t iteration) {
  double seconds = 0;
  for (const Json& record : records)
    if (record.value("kind", "") == "iteration" &&
        record.value("iteration", int64_t{0}) <= iteration && record.contains("seconds") &&
        record["seconds"].is_number())
      seconds = record["seconds"];
  return seconds;
}

/// Says once in a run, over all of its starts, that something runs away.
class Warner {
 public:
  Warner(const Run& run, RecordWriter& records) : run_(run), records_(records) {
    for (const Json& record : read_records(run.folder.records()))
      said_ = said_ || record.value("kind", "") == "warning";
  }
  void look(const at::Tensor& images, const std::vector<synthetic::ParameterGroup>& learned,
            int64_t iterations) {
    if (said_) return;
    const std::optional<std::string> text = runaway(images, learned, iterations);
    if (!text) return;
    said_ = true;
    records_.write({{"kind", "warning"}, {"iteration", iterations}, {"text", *text}});
    const ProgressStyle& style = run_.input.progress;
    if (style.out)
      *style.out << (style.terminal ? "\r\033[K" : "") << "warning: " << *text << "\n"
                 << std::flush;
  }

 private:
  const Run& run_;
  RecordWriter& records_;
  bool said_ = false;
};

DistillOutcome descend(Run& run, std::unique_ptr<synthetic::Parametrisation> parametrisation,
                       std::unique_ptr<Objective> objective) {
  const DistillOptions& options = run.input.options;
  const bool resuming = std::filesystem::exists(run.folder.checkpoint());
  if (!resuming) start(run.input, *parametrisation, *objective);
  OuterLoop loop(options, std::move(parametrisation), std::move(objective));
  auto bundle_now = [&] {
    Decoded now = loop.result();
    synthetic::Bundle bundle = make_bundle(run, now.images);
    if (bundle.parametrisation != "pixels") bundle.compact = std::move(now.stored);
    loop.objective().complete(bundle);
    bundle.storage_bytes = bundle.stored_bytes();
    return bundle;
  };

  OuterLoop::Resumed resumed;
  if (resuming) resumed = loop.load(run.folder.checkpoint(), run.input.data.hash);
  say_note(run.input.progress, resumed.note);
  int64_t done = resumed.iteration;
  run.folder.update_recipe();  // only now: a checkpoint that does not fit changes nothing
  // Without a checkpoint nothing that an earlier start recorded counts.
  RecordWriter records(run.folder.records(), resuming ? done : -1);
  run.seconds_before = seconds_through(read_records(run.folder.records()), done);
  if (!resuming) {
    save_preview(run.folder.images() / "initial.png", bundle_now());
    records.write(opening_record(run, bundle_now()));
    loop.save(run.folder.checkpoint(), 0, run.input.data.hash);
  }
  Progress progress(run.input.progress, options.method, options.iterations, done);
  Warner warner(run, records);
  constexpr int64_t kMeasured = 3;
  int64_t measured = 0;
  double loss = 0;
  while (done < options.iterations) {
    std::optional<SafePointAhead> ahead(std::in_place);
    loss = loop.step(done++);
    warner.look(loop.images(), loop.learned(), done - 1);
    progress.update(done, loss);
    if (++measured == kMeasured) say_estimate(run, measured, options.iterations - done);
    const bool last = done == options.iterations,
               stop = run.input.stop && run.input.stop->requested();
    if (done % options.record_every == 0 || last)
      records.write({{"kind", "iteration"},
                     {"iteration", done},
                     {"loss", loss},
                     {"seconds", run.seconds()},
                     {"peak_memory_bytes", peak_memory_bytes()}});
    if (run.input.validate && options.validate_every > 0 && done % options.validate_every == 0) {
      ahead.reset();  // it may take minutes
      save_preview(run.folder.images() / fmt::format("{:06d}.png", done), bundle_now());
      Json record = run.input.validate(bundle_now());
      record["kind"] = "validation";
      record["iteration"] = done;
      records.write(record);
    }
    if (done % options.checkpoint_every == 0 || last || stop)
      loop.save(run.folder.checkpoint(), done, run.input.data.hash);
    if (stop && !last) return {{}, true, done, loss, run.seconds()};
  }
  synthetic::Bundle bundle = bundle_now();
  warner.look(bundle.images, loop.learned(), done);
  return finish(run, records, std::move(bundle), done, loss);
}

}  // namespace

void DistillOptions::take(const LoopDefaults& defaults) {
  iterations = defaults.iterations;
  image_learning_rate = defaults.image_learning_rate;
  image_momentum = defaults.image_momentum;
  initialisation = defaults.initialisation;
  network = defaults.network;
  protocol = defaults.protocol;
  augmentation = defaults.augmentation;
  image_optimiser = defaults.image_optimiser;
  image_schedule = defaults.image_schedule;
  clip_norm = defaults.clip_norm;
  image_beta2 = defaults.image_beta2;
  clamp_pixels = defaults.clamp_pixels;
}

void DistillOptions::declare(OptionSet& options) {
  options.group("Distillation");
  options.add("method", method, "the method; `retort list methods` shows all");
  options.add("images_per_class", images_per_class,
              "a number, proportional:TOTAL, or a file of CLASS=COUNT lines");
  options.add("network", network, "the network to distil with; `retort list networks`");
  std::vector<std::string> parametrisations;
  for (const auto& entry : synthetic::parametrisation_table())
    parametrisations.push_back(entry.name);
  options.add("parametrisation", parametrisation, "what is learned", {.choices = parametrisations});
  options.add("initialisation", initialisation, "where the images start",
              {.choices = {"real", "noise"}});
  options.add("init_from", init_from, "a bundle to start from, in place of --initialisation");
  options.add("augmentation", augmentation,
              "siamese augmentation: auto, none, or operations joined by _ "
              "(color_crop_cutout_flip_scale_rotate)");
  options.add("protocol", protocol,
              "how students are trained on the result; `retort list protocols`");
  options.add("iterations", iterations, "outer iterations", {.min = 0, .max = 1e9});
  options.add("image_learning_rate", image_learning_rate,
              "step size of the optimiser that moves the images", {.min = 0});
  options.add("image_momentum", image_momentum, "momentum of that optimiser; beta1 of all but sgd",
              {.min = 0, .max = 0.9999});
  options.add("image_optimiser", image_optimiser, "the optimiser that moves the images",
              {.choices = optim::optimizer_names()});
  options.add("image_beta2", image_beta2, "beta2 of all but sgd", {.min = 0, .max = 0.999999});
  options.add("image_schedule", image_schedule,
              "of its rate: cosine ends at 0, slow_cosine at half of it, halving halves it after "
              "every tenth of the run, drop divides it by ten after half",
              {.choices = optim::schedule_names()});
  options.add("clip_norm", clip_norm,
              "largest joint norm of all gradients of an outer step; 0: none", {.min = 0});
  options.add("clamp_pixels", clamp_pixels,
              "keep stored pixels between black and white after every step");
  options.add("seed", seed, "seed of all random draws", {.min = 0, .max = kLargestSeed});
  options.add("validate_every", validate_every,
              "iterations between validations on the validation part (needs "
              "--validation-fraction); 0: none",
              {.min = 0}, Role::kExecution);
  options.add("record_every", record_every, "iterations between loss records", {.min = 1},
              Role::kExecution);
  options.add("checkpoint_every", checkpoint_every, "iterations between checkpoints", {.min = 1},
              Role::kExecution);
}

void check_set(const DistillInput& input) {
  check_start(input, *parametrise(input));
}

std::vector<std::string> check_new_run(const DistillInput& input) {
  const auto parametrisation = parametrise(input);
  const synthetic::SetLayout& layout = parametrisation->layout();
  check_start(input, *parametrisation);
  // What the method itself refuses, such as experts that do not fit.
  const Context context = context_of(input, layout);
  if (builder_of(input, context)) return {};
  input.method.objective(context);
  return notes_on(input);
}

DistillOutcome distill(const DistillInput& input, const RunFolder& folder) {
  say_note(input.progress, folder.damage());
  auto parametrisation = parametrise(input);
  Run run{input, folder, parametrisation->layout()};
  const Context context = context_of(input, run.layout);
  if (auto builder = builder_of(input, context)) return build(run, *builder);
  return descend(run, std::move(parametrisation), input.method.objective(context));
}

}  // namespace retort::methods
