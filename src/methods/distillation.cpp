// What one start of a run makes before anything is on disk.
#include "methods/distillation.h"

#include "methods/asked_images.h"
#include "methods/descending.h"
#include "methods/start.h"
#include "retort/core/error.h"

namespace retort::methods {
namespace {

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

/// A job's part of a set is whole rows of pixels, moved as they are in one run.
void require_mergeable(const DistillInput& input) {
  OptionSet own;
  input.method.declare(own);
  const Option* shard = own.find("shard");
  if (!shard || parse_shard(shard->text()).count == 1) return;
  Problems problems;
  if (input.options.parametrisation != "pixels")
    problems.add("--shard " + shard->text() +
                 " needs --parametrisation pixels: others join the rows");
  if (input.options.clip_norm > 0)
    problems.add("--shard " + shard->text() + " needs --clip-norm 0: the norm is of all rows");
  problems.raise("dealing out the work");
}

/// `layout` must outlive it.
Context context_of(const DistillInput& input, const synthetic::SetLayout& layout) {
  return {input.data,
          input.network,
          layout,
          augmentation_of(input),
          static_cast<uint64_t>(input.options.seed),
          input.device,
          input.how.group,
          input.options.iterations,
          input.how.progress};
}

/// Null where the method learns images.
std::unique_ptr<Selector> selector_of(const DistillInput& input, const Context& context) {
  auto selector = input.method.selector(context);
  if (!selector) return {};
  require_pixels(input.options);
  require_enough(input);
  return selector;
}

DistillOutcome select(const Run& run, Selector& selector) {
  at::Tensor images = selector.compose();
  const bool composed = images.defined();
  if (!composed) images = rows_as_input(run.input, selector.select());
  synthetic::Bundle bundle = make_bundle(run, images);
  bundle.chosen = !composed;
  std::optional<Records> records;
  if (run.input.how.group->first()) {
    run.folder.update_recipe();
    records.emplace(run, 0);
    if (read_records(run.folder.records()).empty()) records->write(opening_record(run, bundle));
  }
  return finish(run, records, std::move(bundle), {run.input.options.iterations, 0, {}});
}

}  // namespace

void check_set(const DistillInput& input) {
  check_start(input, *parametrise(input));
}

Distillation::Distillation(const DistillInput& input, bool fresh)
    : input_(input),
      parametrisation_(parametrise(input)),
      layout_(parametrisation_->layout()),
      context_(context_of(input, layout_)) {
  require_mergeable(input);
  if (fresh) check_start(input, *parametrisation_);
  selector_ = selector_of(input, context_);
  if (!selector_) objective_ = input.method.objective(context_);
}

bool Distillation::open_ended() const {
  if (!objective_) return true;
  for (const synthetic::ParameterGroup& group : objective_->learned())
    if (!group.schedule.empty() && group.schedule != "constant") return false;
  return objective_->open_ended();
}

std::vector<std::string> Distillation::notes() const {
  return selector_ ? std::vector<std::string>{} : notes_on(input_);
}

DistillOutcome Distillation::run(const RunFolder& folder) {
  Run run{input_, folder, layout_};
  if (selector_) return select(run, *selector_);
  return descend(run, std::move(parametrisation_), std::move(objective_));
}

}  // namespace retort::methods
