// The teacher file, and what later stages ask of it.
#include "retort/teachers/teacher.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>

#include "io/metadata.h"
#include "retort/core/error.h"
#include "retort/io/tensor_file.h"
#include "synthetic/check.h"

namespace retort::teachers {
namespace {

constexpr const char* kFormat = "retort.teacher";
constexpr int64_t kVersion = 1;
constexpr std::string_view kMean = ".running_mean", kVariance = ".running_var";

template <class TeacherRef>
auto text_fields(TeacherRef& teacher) {
  return std::vector<std::pair<std::string, decltype(&teacher.network)>>{
      {"network", &teacher.network},       {"data_name", &teacher.data_name},
      {"data_hash", &teacher.data_hash},   {"objective", &teacher.objective},
      {"statistics", &teacher.statistics}, {"recipe", &teacher.recipe},
      {"origin", &teacher.origin}};
}

std::vector<std::string> names_of(const std::vector<NormLayer>& layers) {
  std::vector<std::string> names;
  for (const NormLayer& layer : layers) names.push_back(layer.name);
  return names;
}

Metadata metadata_of(const Teacher& teacher, const nets::Network& network) {
  const synthetic::StoredPreprocessing stored = synthetic::stored_form(teacher.preprocessing);
  const auto& [channels, height, width, classes] = teacher.shape;
  Metadata metadata = {
      {"format", kFormat},
      {"format_version", std::to_string(kVersion)},
      {"shape", metadata_text({channels, height, width, classes})},
      {"class_names", metadata_text(teacher.class_names)},
      {"preprocessing", stored.kind},
      {"mean", metadata_text(stored.mean)},
      {"std", metadata_text(stored.deviation)},
      {"epochs", std::to_string(teacher.epochs)},
      {"validation_accuracy", fmt::format("{}", teacher.validation_accuracy)},
      {"norm_layers", metadata_text(names_of(norm_layers(network)))},
      {"split", teacher.split.text()},
  };
  for (const auto& [name, text] : text_fields(teacher)) metadata[name] = *text;
  return metadata;
}

/// The file's tensors as one vector in the layout's order.
at::Tensor flat(const TensorFile& file, const nets::Layout& layout, const MetadataReader& reader) {
  std::vector<at::Tensor> pieces;
  for (const nets::Slot& slot : layout.slots) {
    const at::Tensor value = tensor_of(file, slot.name, reader.path());
    if (value.scalar_type() != at::kFloat || value.sizes() != at::IntArrayRef(slot.shape))
      reader.refuse(fmt::format("its tensor '{}' is not float32 of shape [{}]", slot.name,
                                fmt::join(slot.shape, ", ")));
    if (!at::isfinite(value).all().item<bool>())
      reader.refuse(fmt::format("its tensor '{}' holds a number that is not finite", slot.name));
    if (slot.name.ends_with(kVariance) && value.lt(0).any().item<bool>())
      reader.refuse(fmt::format("its tensor '{}' holds a variance below 0", slot.name));
    pieces.push_back(value.reshape(-1));
  }
  return pieces.empty() ? at::Tensor() : at::cat(pieces);
}

void put(TensorMap& tensors, const nets::Layout& layout, const at::Tensor& flat) {
  if (layout.size == 0) return;
  TORCH_CHECK(flat.defined() && flat.dim() == 1 && flat.size(0) == layout.size, "a teacher has ",
              layout.size, " numbers of each kind");
  const at::Tensor host = flat.detach().to(at::kCPU, at::kFloat);
  for (const nets::Slot& slot : layout.slots)
    tensors[slot.name] = host.narrow(0, slot.offset, slot.count).reshape(slot.shape);
}

nets::Shape shape_of(const MetadataReader& reader) {
  const auto sides = reader.list<int64_t>("shape");
  if (sides.size() != 4) reader.refuse("its metadata 'shape' is not four numbers");
  constexpr int64_t kMost = 1 << 20;  // a damaged number must not ask for all memory
  for (const int64_t side : sides)
    if (side < 1 || side > kMost) reader.refuse(fmt::format("its shape has a side of {}", side));
  return {sides[0], sides[1], sides[2], sides[3]};
}

bool same_numbers(const std::vector<double>& a, const std::vector<double>& b) {
  constexpr double kRounding = 1e-6;
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](double x, double y) { return std::abs(x - y) <= kRounding; });
}

std::string describe(const data::Preprocessing& preprocessing) {
  if (preprocessing.kind() != "mean_std") return "preprocessing '" + preprocessing.kind() + "'";
  return fmt::format("mean {:.4f} and deviation {:.4f}", fmt::join(preprocessing.mean(), " "),
                     fmt::join(preprocessing.deviation(), " "));
}

/// "class 3 is 'cat'", or how many there are.
std::string first_difference(const std::vector<std::string>& names,
                             const std::vector<std::string>& others) {
  for (size_t i = 0; i < std::min(names.size(), others.size()); ++i)
    if (names[i] != others[i]) return fmt::format("class {} is '{}'", i, names[i]);
  return fmt::format("{} classes", names.size());
}

}  // namespace

std::unique_ptr<nets::Network> Teacher::build() const {
  return nets::make_network(network, shape);
}

void write_teacher(const std::filesystem::path& path, const Teacher& teacher) {
  const auto network = teacher.build();
  TensorMap tensors;
  put(tensors, network->parameters(), teacher.theta);
  put(tensors, network->state(), teacher.state);
  for (const auto& [name, tensor] : tensors)
    if (!at::isfinite(tensor).all().item<bool>())
      throw StateError(ErrorMessage{"writing '" + path.string() + "'",
                                    "'" + name + "' holds a number that is not finite",
                                    "finite parameters and running statistics",
                                    "nothing was written; lower the learning rate"});
  save_tensors(path, tensors, metadata_of(teacher, *network));
}

Teacher read_teacher(const std::filesystem::path& path) {
  const TensorFile file = load_tensors(path);
  const MetadataReader reader(file.metadata, path.string(), "a teacher",
                              "a teacher written by retort squeeze or import");
  reader.check_version(kFormat, kVersion);
  Teacher teacher;
  for (const auto& [name, text] : text_fields(teacher)) *text = reader.text(name);
  teacher.shape = shape_of(reader);
  teacher.class_names = reader.list<std::string>("class_names");
  if (std::ssize(teacher.class_names) != teacher.shape.classes)
    reader.refuse("it has another number of class names than of classes");
  const auto split = data::parse_split(reader.text_or("split", ""));
  if (!split) reader.refuse("its metadata 'split' is damaged");
  teacher.split = *split;
  teacher.epochs = reader.number("epochs");
  teacher.validation_accuracy = reader.number<double>("validation_accuracy");
  const synthetic::StoredPreprocessing stored{
      reader.text("preprocessing"), reader.list<double>("mean"), reader.list<double>("std"), {}};
  std::string problem;
  teacher.preprocessing = synthetic::restore(stored, problem);
  if (!problem.empty()) reader.refuse(problem);
  const auto network = teacher.build();
  teacher.theta = flat(file, network->parameters(), reader);
  teacher.state = flat(file, network->state(), reader);
  return teacher;
}

void check_teacher(const Teacher& teacher, const TeacherUse& use) {
  const auto refuse = [&](const std::string& found, const std::string& accepted,
                          const std::string& advice) {
    throw StateError(ErrorMessage{use.doing, found, accepted, advice});
  };
  if (teacher.class_names != use.class_names)
    refuse("of the teacher's classes, " + first_difference(teacher.class_names, use.class_names),
           "the data's classes in their order, " +
               first_difference(use.class_names, teacher.class_names),
           "choose the same --classes for both, or another teacher");
  const nets::Shape &has = teacher.shape, &wants = use.shape;
  if (has.channels != wants.channels || has.height != wants.height || has.width != wants.width)
    refuse(fmt::format("the teacher takes images of {}x{}x{}", has.channels, has.height, has.width),
           fmt::format("the data's {}x{}x{}", wants.channels, wants.height, wants.width),
           "set --resolution, or squeeze a teacher at this size");
  // Another split has another mean and deviation: it is the cause, and is named before them.
  data::check_split({"the teacher", teacher.data_hash, teacher.split}, use.doing,
                    {"the data", use.data_hash, use.split});
  const data::Preprocessing &own = teacher.preprocessing, &other = use.preprocessing;
  if (own.kind() != other.kind() || !same_numbers(own.mean(), other.mean()) ||
      !same_numbers(own.deviation(), other.deviation()))
    refuse("the teacher was trained with " + describe(own), "the data's " + describe(other),
           "choose the same --normalisation for both, or another teacher");
  if (!teacher.data_hash.empty() && !use.data_hash.empty() && teacher.data_hash != use.data_hash)
    refuse("the teacher was trained on data of hash " + teacher.data_hash,
           "the data's hash " + use.data_hash, "give the data that the teacher was trained on");
}

void check_teacher(const Teacher& teacher, const std::string& doing, const data::Dataset& data) {
  check_teacher(teacher, {doing,
                          data.class_names,
                          data.preprocessing,
                          {data.channels, data.height, data.width, data.classes()},
                          data.hash,
                          data.split});
}

std::vector<NormLayer> norm_layers(const nets::Network& network) {
  std::vector<NormLayer> layers;
  for (const nets::Slot& slot : network.state().slots) {
    if (!slot.name.ends_with(kMean)) continue;
    NormLayer layer;
    layer.name = slot.name.substr(0, slot.name.size() - kMean.size());
    layer.channels = slot.count;
    layer.mean = slot.offset;
    layer.variance = network.state().find(layer.name + std::string(kVariance)).offset;
    // "block1.norm" is fed by "block1.conv", "stage1.block1.norm2" by "stage1.block1.conv2".
    std::string conv = layer.name;
    const size_t at = conv.rfind("norm");
    if (at != std::string::npos) conv.replace(at, 4, "conv");
    const auto& slots = network.parameters().slots;
    const bool there = std::any_of(slots.begin(), slots.end(), [&](const nets::Slot& parameter) {
      return parameter.name == conv + ".weight" && parameter.shape.size() == 4 &&
             parameter.shape[0] == layer.channels;
    });
    if (at != std::string::npos && there) layer.conv = conv;
    layers.push_back(layer);
  }
  return layers;
}

}  // namespace retort::teachers
