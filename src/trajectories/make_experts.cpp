// Experts in one call.
#include "retort/trajectories/experts.h"

namespace retort::trajectories {
namespace {

ExpertOutcome made(const ExpertInput& input, const std::filesystem::path& folder,
                   const OptionSet& recipe, const ExpertSettings& how) {
  if (!input.options.imports.empty()) {
    check_import(input);
    input.group->barrier();
    ExpertOutcome outcome;
    if (input.group->first()) {
      open_experts(folder, recipe);
      outcome = import_experts(input, folder);
    }
    input.group->barrier();
    return outcome;
  }
  const DiskNeed need = disk_need(input, folder);
  if (how.need && need.experts > 0) how.need(need);
  input.group->barrier();  // all have looked at the folder
  if (input.group->first()) open_experts(folder, recipe);
  input.group->barrier();
  return train_experts(input, folder);
}

}  // namespace

ExpertOutcome make_experts(const data::Dataset& data, const ExpertOptions& options,
                           const std::filesystem::path& folder, const ExpertSettings& how) {
  ExpertOptions own = options;
  OptionSet declared;
  own.declare(declared);
  const OptionSet& recipe = how.recipe ? *how.recipe : declared;
  experts_started(folder, recipe);
  const auto network =
      nets::make_network(options.network, {data.channels, data.height, data.width, data.classes()});
  const ExpertInput input{data, *network, options, how.device, how.progress, how.stop, how.group};
  check_experts(input);
  if (how.note)
    for (const std::string& note : data.notes) how.note(note);
  ExpertOutcome outcome = made(input, folder, recipe, how);
  outcome.network = network->name();
  outcome.parameters = network->parameters().size;
  return outcome;
}

}  // namespace retort::trajectories
