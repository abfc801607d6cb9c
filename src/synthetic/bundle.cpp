// The bundle file. docs/formats.md describes it.
#include "retort/synthetic/bundle.h"

#include <fmt/format.h>

#include "core/sizes.h"
#include "io/metadata.h"
#include "retort/core/error.h"
#include "synthetic/check.h"

namespace retort::synthetic {
namespace {

constexpr const char* kFormat = "retort.bundle";
constexpr int64_t kVersion = 1;
// ZCA matrices of larger images are hundreds of megabytes: they stay with the data set.
constexpr int64_t kSideWithoutMatrices = 64;
constexpr std::string_view kCompactPrefix = "compact.";

/// The fields that go to the metadata as they are.
template <class BundleRef>
auto text_fields(BundleRef& bundle) {
  return std::vector<std::pair<std::string, decltype(&bundle.method)>>{
      {"method", &bundle.method},
      {"parametrisation", &bundle.parametrisation},
      {"data_name", &bundle.data_name},
      {"data_hash", &bundle.data_hash},
      {"recipe", &bundle.recipe},
      {"protocol", &bundle.protocol},
      {"network", &bundle.network},
      {"augmentation", &bundle.augmentation},
      {"program_version", &bundle.program_version}};
}

bool leaves_matrices_out(const Bundle& bundle) {
  const int64_t side = std::max(bundle.images.size(2), bundle.images.size(3));
  return bundle.preprocessing_missing ||
         (bundle.preprocessing.kind() == "zca" && side >= kSideWithoutMatrices);
}

Metadata metadata_of(const Bundle& bundle) {
  const StoredPreprocessing stored = stored_form(bundle.preprocessing);
  Metadata metadata = {
      {"format", kFormat},
      {"format_version", std::to_string(kVersion)},
      {"class_names", metadata_text(bundle.class_names)},
      {"shape", metadata_text(bundle.images.sizes().vec())},
      {"preprocessing", leaves_matrices_out(bundle) ? "zca" : stored.kind},
      {"mean", metadata_text(stored.mean)},
      {"std", metadata_text(stored.deviation)},
      {"zca_stored", leaves_matrices_out(bundle) ? "no" : "yes"},
      {"storage_bytes", std::to_string(bundle.storage_bytes)},
      {"images_per_class_equivalents", fmt::format("{}", bundle.images_per_class_equivalents())},
      {"seed", std::to_string(bundle.seed)},
      {"split", bundle.split.text()},
      {"soft_label_kind", bundle.soft_labels.defined() ? bundle.soft_label_kind : ""},
  };
  for (const auto& [name, text] : text_fields(bundle)) metadata[name] = *text;
  if (bundle.chosen) metadata["chosen"] = "yes";
  return metadata;
}

/// Files written before splits were recorded have none.
data::SplitIdentity split_of(const MetadataReader& metadata) {
  const auto split = data::parse_split(metadata.text_or("split", ""));
  if (!split) metadata.refuse("its metadata 'split' is damaged");
  return *split;
}

/// Older files do not say it: KIP, FRePo and learning through training had labels of other kinds.
std::string soft_label_kind_of(const Bundle& bundle, const MetadataReader& metadata) {
  const std::string kind = metadata.text_or("soft_label_kind", "");
  if (!kind.empty()) return kind;
  if (bundle.method == "frepo" || bundle.method == "kip") return "targets";
  return bundle.method == "bptt" ? "weights" : "probabilities";
}

/// Older files do not say it: four methods chose.
bool is_chosen(const Bundle& bundle, const MetadataReader& metadata) {
  const std::string said = metadata.text_or("chosen", "");
  if (!said.empty()) return said == "yes";
  constexpr std::string_view kChose[] = {"random", "herding", "kcenter", "forgetting"};
  return std::find(std::begin(kChose), std::end(kChose), bundle.method) != std::end(kChose);
}

void read_preprocessing(Bundle& bundle, const TensorFile& file, const MetadataReader& metadata) {
  StoredPreprocessing stored{metadata.text("preprocessing"), metadata.list<double>("mean"),
                             metadata.list<double>("std"), file.tensors};
  bundle.preprocessing_missing = stored.kind == "zca" && metadata.text("zca_stored") == "no";
  if (bundle.preprocessing_missing) return;
  std::string problem;
  bundle.preprocessing = restore(stored, problem);
  if (!problem.empty()) metadata.refuse(problem);
}

void read_tensors(Bundle& bundle, const TensorFile& file, const MetadataReader& metadata,
                  const std::string& path) {
  bundle.images = tensor_of(file, "images", path);
  bundle.labels = tensor_of(file, "labels", path);
  for (const auto& [name, tensor] : file.tensors) {
    if (name == "soft_labels") bundle.soft_labels = tensor;
    if (name == "step_learning_rates") bundle.step_learning_rates = tensor;
    if (name.rfind(kCompactPrefix, 0) == 0)
      bundle.compact[name.substr(kCompactPrefix.size())] = tensor;
    if (name != "student_learning_rate") continue;
    if (tensor.scalar_type() != at::kDouble || tensor.numel() != 1)
      metadata.refuse("the tensor 'student_learning_rate' is not one float64 number");
    bundle.student_learning_rate = tensor.item<double>();
  }
}

}  // namespace

std::vector<std::pair<std::string, int64_t>> Bundle::storage() const {
  TensorMap stored = compact;
  if (stored.empty()) stored["images"] = images;
  if (soft_labels.defined()) stored["soft_labels"] = soft_labels;
  if (step_learning_rates.defined()) stored["step_learning_rates"] = step_learning_rates;
  std::vector<std::pair<std::string, int64_t>> all;
  for (const auto& [name, tensor] : stored)
    all.emplace_back(name, static_cast<int64_t>(tensor.nbytes()));
  // Sets are class after class: hard labels are one number a class.
  all.emplace_back("labels", classes() * static_cast<int64_t>(sizeof(int64_t)));
  if (student_learning_rate)
    all.emplace_back("student_learning_rate", static_cast<int64_t>(sizeof(double)));
  return all;
}

int64_t Bundle::stored_bytes() const {
  int64_t bytes = 0;
  for (const auto& [name, size] : storage()) bytes += size;
  return bytes;
}

double Bundle::images_per_class_equivalents() const {
  const auto one = static_cast<double>(images[0].numel()) * sizeof(float);
  return static_cast<double>(storage_bytes) / (one * static_cast<double>(classes()));
}

std::vector<int64_t> Bundle::counts() const {
  std::vector<int64_t> out(class_names.size(), 0);
  const at::Tensor host = labels.to(at::kCPU).contiguous();
  for (int64_t i = 0; i < host.numel(); ++i) ++out.at(to_size(host.data_ptr<int64_t>()[i]));
  return out;
}

void save_bundle(const std::filesystem::path& path, const Bundle& bundle) {
  const std::string problem = bundle_problem(bundle);
  if (!problem.empty())
    throw StateError({"writing '" + path.string() + "'", problem,
                      "finite images with a label of the known classes each",
                      "nothing was written; a lower image learning rate may keep the run finite"});
  TensorMap tensors = {{"images", bundle.images}, {"labels", bundle.labels}};
  if (bundle.soft_labels.defined()) tensors["soft_labels"] = bundle.soft_labels;
  if (bundle.step_learning_rates.defined())
    tensors["step_learning_rates"] = bundle.step_learning_rates;
  if (bundle.student_learning_rate)
    tensors["student_learning_rate"] =
        at::scalar_tensor(*bundle.student_learning_rate, at::kDouble);
  for (const auto& [name, tensor] : bundle.compact)
    tensors[std::string(kCompactPrefix) + name] = tensor;
  if (!leaves_matrices_out(bundle)) tensors.merge(stored_form(bundle.preprocessing).tensors);
  save_tensors(path, tensors, metadata_of(bundle));
}

Bundle load_bundle(const std::filesystem::path& path) {
  const TensorFile file = load_tensors(path);
  const MetadataReader metadata(file.metadata, path.string(), "a bundle",
                                "a bundle written by retort");
  metadata.check_version(kFormat, kVersion);
  Bundle bundle;
  for (const auto& [name, text] : text_fields(bundle)) *text = metadata.text(name);
  bundle.class_names = metadata.list<std::string>("class_names");
  bundle.storage_bytes = metadata.number("storage_bytes");
  bundle.seed = metadata.number("seed");
  bundle.split = split_of(metadata);
  read_tensors(bundle, file, metadata, path.string());
  bundle.chosen = is_chosen(bundle, metadata);
  bundle.soft_label_kind = soft_label_kind_of(bundle, metadata);
  read_preprocessing(bundle, file, metadata);
  const std::string problem = bundle_problem(bundle);
  if (!problem.empty()) metadata.refuse(problem);
  if (metadata.list<int64_t>("shape") != bundle.images.sizes().vec())
    metadata.refuse("its images have another shape than its metadata say");
  return bundle;
}

data::MadeFrom made_from(const Bundle& bundle, const std::string& name) {
  return {"the set '" + name + "'", bundle.data_hash, bundle.split};
}

void fill_preprocessing(Bundle& bundle, const data::Dataset& dataset) {
  if (!bundle.preprocessing_missing) return;
  const std::string doing = "taking the whitening of the data set '" + dataset.name + "'";
  if (dataset.hash != bundle.data_hash)
    throw StateError({doing, "its content hash is " + dataset.hash,
                      "the data set the bundle was made from, hash " + bundle.data_hash,
                      "give the original data"});
  if (dataset.preprocessing.kind() != "zca")
    throw StateError({doing, "it was prepared as '" + dataset.preprocessing.kind() + "'",
                      "ZCA whitening, as the bundle's recipe says", "use --normalisation zca"});
  bundle.preprocessing = dataset.preprocessing;
  bundle.preprocessing_missing = false;
}

std::unique_ptr<data::BatchSource> bundle_source(const Bundle& bundle, at::Device device) {
  const at::Tensor& targets = bundle.soft_labels.defined() ? bundle.soft_labels : bundle.labels;
  return data::tensor_source(bundle.images.to(device), targets.to(device));
}

}  // namespace retort::synthetic
