#include "methods/run_under_way.h"

#include <ATen/Parallel.h>

#include "augment/siamese.h"
#include "core/version.h"
#include "methods/asked_images.h"
#include "methods/previews.h"
#include "retort/core/device.h"
#include "synthetic/contrast.h"

namespace retort::methods {
namespace {

/// Random choices look at no network, and methods with a teacher at that one.
bool uses_network(const DistillInput& input) {
  OptionSet own;
  input.method.declare(own);
  return !own.find("teacher") && input.options.method != "random";
}

}  // namespace

std::string augmentation_of(const DistillInput& input) {
  const std::string& asked = input.options.augmentation;
  return asked == "auto" ? augment::default_strategy(input.data.mirrorable) : asked;
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

Json opening_record(const Run& run, const synthetic::Bundle& bundle) {
  Json deviations = Json::array(), notes = Json::array();
  for (const auto& text : run.input.method.deviations()) deviations.push_back(text);
  for (const auto& text : run.input.data.notes) notes.push_back(text);
  for (const auto& text : notes_on(run.input)) notes.push_back(text);
  Json storage = Json::object();
  for (const auto& [name, bytes] : bundle.storage()) storage[name] = bytes;
  Json record{
      {"kind", "run"},
      {"program_version", version()},
      {"method", bundle.method},
      {"data", bundle.data_name},
      {"data_hash", bundle.data_hash},
      {"split", bundle.split.words()},
      {"classes", bundle.classes()},
      {"images_per_class", run.input.options.images_per_class},
      {"images", run.layout.size()},
      {uses_network(run.input) ? "network" : "student_network", bundle.network},
      {"device", run.input.device.str()},
      {"threads", run.input.how.threads > 0 ? run.input.how.threads : at::get_num_threads()},
      {"seed", bundle.seed},
      {"parametrisation", bundle.parametrisation},
      {"storage", storage},
      {"storage_bytes", bundle.storage_bytes},
      {"images_per_class_equivalents", bundle.images_per_class_equivalents()},
      {"deviations", deviations},
      {"notes", notes}};
  if (run.input.how.group->size() > 1) record["processes"] = run.input.how.group->size();
  if (uses_network(run.input))
    record["engine"] = run.input.network.engine_name(nets::Work::kGradient, run.input.device);
  return record;
}

namespace {

void write_result(const Run& run, Records& records, const synthetic::Bundle& bundle, const End& end,
                  double seconds) {
  save_preview(run.folder.images() / "final.png", bundle);
  save_bases(run.folder.images() / "bases.png", bundle);
  synthetic::save_bundle(run.folder.bundle(), bundle);
  Json record{{"kind", "finish"},
              {"iteration", end.iteration},
              {"seconds", seconds},
              {"peak_memory_bytes", peak_memory_bytes()}};
  if (!end.rows.empty()) record["rows"] = end.rows;
  std::vector<std::string> notes;  // the page shows them
  for (const Json& earlier : read_records(run.folder.records()))
    if (earlier.value("kind", "") == "warning") notes.push_back(earlier.value("text", ""));
  const std::string note = synthetic::flatness_note(bundle, run.input.data.train.images);
  if (!note.empty()) notes.push_back(note);
  if (!notes.empty()) record["notes"] = notes;
  if (!note.empty() && run.input.how.progress.out)
    *run.input.how.progress.out << "note: " << note << "\n";
  records.write(record);
}

}  // namespace

DistillOutcome finish(const Run& run, std::optional<Records>& records, synthetic::Bundle bundle,
                      const End& end) {
  const double seconds = run.seconds();
  if (records) write_result(run, *records, bundle, end, seconds);
  run.input.how.group->barrier();
  return {std::move(bundle), false, end.iteration, end.loss, seconds};
}

}  // namespace retort::methods
