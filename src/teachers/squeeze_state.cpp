#include "teachers/squeeze_state.h"

#include <fmt/format.h>

#include <string_view>
#include <utility>

#include "core/note.h"
#include "io/checkpoint.h"
#include "io/metadata.h"
#include "optim/schedule.h"
#include "retort/core/error.h"

namespace retort::teachers {
namespace {

constexpr const char* kFormat = "retort.squeeze_checkpoint";
constexpr std::string_view kMemory = "memory.";

std::unique_ptr<optim::Optimizer> sgd_of(const SqueezeOptions& options, const at::Tensor& value) {
  return optim::make_optimizer({.name = "sgd",
                                .momentum = options.momentum,
                                .weight_decay = options.weight_decay,
                                .late_decay = true},
                               value);
}

}  // namespace

double squeeze_rate(const SqueezeOptions& options, int64_t epoch) {
  const optim::Schedule schedule("cosine", {static_cast<double>(options.warmup_epochs)});
  return options.learning_rate *
         schedule.factor(static_cast<double>(epoch), static_cast<double>(options.epochs));
}

RandomStream squeeze_stream(const SqueezeOptions& options, const char* purpose, int64_t a,
                            int64_t b, int64_t c) {
  return RandomStream(static_cast<uint64_t>(options.seed), purpose, static_cast<uint64_t>(a),
                      static_cast<uint64_t>(b), static_cast<uint64_t>(c));
}

SqueezeState::SqueezeState(const SqueezeInput& input)
    : input_(input),
      options_(input.options),
      objective_(make_squeeze_objective(options_, input.network, input.device)) {}

void SqueezeState::set(Learner learner) {
  now_ = std::move(learner);
  theta_optimizer_ = sgd_of(options_, now_.theta);
  head_optimizer_ = sgd_of(options_, now_.head);
}

void SqueezeState::begin() {
  Learner start;
  start.theta =
      input_.network.initial(squeeze_stream(options_, "squeeze.initial")).to(input_.device);
  if (input_.network.state().size > 0)
    start.state = input_.network.initial_state().to(input_.device);
  start.head = objective_->initial_head(squeeze_stream(options_, "squeeze.head")).to(input_.device);
  set(std::move(start));
  objective_->begin(now_);
}

at::Tensor SqueezeState::step(const std::vector<at::Tensor>& views, const at::Tensor& labels,
                              int64_t epoch, int64_t batch) {
  const LearnerStep found =
      objective_->step(now_, views, labels, squeeze_stream(options_, "squeeze.step", epoch, batch));
  const double rate = squeeze_rate(options_, epoch);
  theta_optimizer_->step(now_.theta, found.theta, rate);
  head_optimizer_->step(now_.head, found.head, rate);
  if (now_.state.defined()) now_.state = found.state;
  return found.loss;
}

void SqueezeState::save(const std::filesystem::path& path, int64_t epochs) const {
  TensorMap tensors = {{"theta", now_.theta},
                       {"head", now_.head},
                       {"velocity.theta", theta_optimizer_->state().at("velocity")},
                       {"velocity.head", head_optimizer_->state().at("velocity")}};
  if (now_.state.defined()) tensors["state"] = now_.state;
  for (const auto& [name, tensor] : objective_->memory())
    tensors[std::string(kMemory) + name] = tensor;
  save_checkpoint(
      path, tensors,
      {{"format", kFormat}, {"epoch", std::to_string(epochs)}, {"data_hash", input_.data.hash}});
}

int64_t SqueezeState::load(const std::filesystem::path& path) {
  const Checkpoint checkpoint = load_checkpoint(path);
  say_note(input_.progress, checkpoint.note);
  const TensorFile& file = checkpoint.file;
  const MetadataReader reader(file.metadata, checkpoint.path, "a checkpoint",
                              "a checkpoint of retort squeeze");
  if (reader.text("format") != kFormat) reader.refuse("it is not such a checkpoint");
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
  const int64_t head = objective_->initial_head(squeeze_stream(options_, "squeeze.head")).size(0);
  Learner kept{get("theta", input_.network.parameters().size), {}, get("head", head)};
  if (input_.network.state().size > 0) kept.state = get("state", input_.network.state().size);
  set(std::move(kept));
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

}  // namespace retort::teachers
