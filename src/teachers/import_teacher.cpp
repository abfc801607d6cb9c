#include "teachers/import_teacher.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <map>
#include <numeric>
#include <optional>

#include "core/sizes.h"
#include "data/imagenet_classes.h"
#include "data/layouts.h"
#include "io/torch_file.h"
#include "retort/core/error.h"
#include "retort/io/tensor_file.h"
#include "retort/train/trainer.h"
#include "teachers/probe.h"

namespace retort::teachers {
namespace {

constexpr const char* kAccepted =
    "a state dictionary of ResNet18, 34, 50 or 101 in torchvision's names (conv1.weight, "
    "layer1.0.conv1.weight, bn1.running_mean and so on), also behind a prefix";

[[noreturn]] void refuse(const std::string& path, const std::string& found,
                         const std::string& advice = {}) {
  throw DataError(ErrorMessage{"importing the teacher '" + path + "'", found, kAccepted, advice});
}

/// Tensors by name, read when they are wanted: a training checkpoint holds much else.
using Table = std::map<std::string, std::function<at::Tensor()>>;

void collect(const TorchFile& file, const Pickle& value, const std::string& before, int depth,
             Table& table) {
  constexpr int kDeepest = 3;
  for (const auto& [key, entry] : value.entries) {
    if (!key->is(Pickle::Kind::kString)) continue;
    const std::string name = before + key->text;
    if (TorchFile::is_tensor(*entry)) {
      table[name] = [&file, tensor = entry] { return file.tensor(*tensor); };
    } else if (depth < kDeepest) {
      collect(file, *entry, name + "/", depth + 1, table);
    }
  }
}

/// What names may stand before those of a ResNet. Of several, the one to take: the query's encoder
/// of MoCo, the teacher of DINO, else the shortest.
std::optional<std::string> prefix_of(const Table& table) {
  constexpr std::string_view kStem = "conv1.weight";
  const auto rank = [](const std::string& prefix) {
    const auto holds = [&](const char* word) { return prefix.find(word) != std::string::npos; };
    if (holds("encoder_q") || holds("teacher")) return 0;
    return holds("encoder_k") || holds("momentum") || holds("student") ? 2 : 1;
  };
  std::vector<std::string> found;
  for (const auto& [name, tensor] : table) {
    if (!name.ends_with(kStem)) continue;
    const std::string prefix = name.substr(0, name.size() - kStem.size());
    if (table.count(prefix + "bn1.running_mean") && table.count(prefix + "layer1.0.conv1.weight"))
      found.push_back(prefix);
  }
  const auto best = std::min_element(found.begin(), found.end(), [&](const auto& a, const auto& b) {
    return std::pair(rank(a), a.size()) < std::pair(rank(b), b.size());
  });
  return best == found.end() ? std::nullopt : std::optional(*best);
}

/// One state dictionary, its prefix taken off.
struct Names {
  const Table& table;
  std::string prefix, path;

  bool has(const std::string& name) const { return table.count(prefix + name) > 0; }
  /// float32, checked.
  at::Tensor get(const std::string& name) const {
    const at::Tensor tensor = table.at(prefix + name)();
    if (!tensor.is_floating_point()) refuse(path, "'" + prefix + name + "' holds no floats");
    const at::Tensor value = tensor.to(at::kFloat);
    if (!at::isfinite(value).all().item<bool>())
      refuse(path, "'" + prefix + name + "' holds a number that is not finite");
    if (name.ends_with("running_var") && value.lt(0).any().item<bool>())
      refuse(path, "'" + prefix + name + "' holds a variance below 0");
    return value;
  }
  /// The first of several spellings that is there.
  std::optional<std::string> one_of(const std::vector<std::string>& names) const {
    for (const std::string& name : names)
      if (has(name)) return name;
    return {};
  }
};

std::string specification_of(const Names& names) {
  std::vector<int64_t> blocks(4);
  for (size_t stage = 0; stage < 4; ++stage)
    while (names.has(fmt::format("layer{}.{}.conv1.weight", stage + 1, blocks[stage])))
      ++blocks[stage];
  const bool bottleneck = names.has("layer1.0.conv3.weight");
  const std::vector<std::tuple<bool, std::vector<int64_t>, std::string>> known = {
      {false, {2, 2, 2, 2}, "resnet18"},
      {false, {3, 4, 6, 3}, "resnet34"},
      {true, {3, 4, 6, 3}, "resnet50"},
      {true, {3, 4, 23, 3}, "resnet101"}};
  for (const auto& [deep, counts, name] : known) {
    if (deep != bottleneck || counts != blocks) continue;
    const at::Tensor stem = names.get("conv1.weight");
    if (stem.dim() != 4 || (stem.size(2) != 3 && stem.size(2) != 7))
      refuse(names.path, "its stem is not a convolution of 3x3 or 7x7");
    std::string specification = name + "-bn";
    if (stem.size(2) == 7) specification += "-imagenet";
    if (stem.size(0) != 64) specification += fmt::format("-w{}", stem.size(0));
    return specification;
  }
  refuse(names.path, fmt::format("its stages have {} blocks of {} convolutions",
                                 fmt::join(blocks, ", "), bottleneck ? 3 : 2));
}

void replace(std::string& text, const std::string& from, const std::string& to) {
  const size_t at = text.find(from);
  if (at != std::string::npos) text.replace(at, from.size(), to);
}

/// The spellings of a slot "stage2.block1.shortcut.conv.weight": torchvision's
/// "layer2.0.downsample.0.weight" first.
std::vector<std::string> spellings(std::string name) {
  replace(name, "stem.conv", "conv1");
  replace(name, "stem.norm", "bn1");
  if (name.starts_with("stage")) {
    const size_t first = std::string("stageS.block").size(), dot = name.find('.', first);
    const int64_t block = std::stoll(name.substr(first, dot - first));
    name = fmt::format("layer{}.{}{}", name[5], block - 1, name.substr(dot));
  }
  replace(name, ".norm", ".bn");
  std::vector<std::string> all;
  for (const auto& [across, last] : {std::pair("downsample", "fc"), {"shortcut", "linear"}}) {
    std::string one = name;
    replace(one, "shortcut.conv", std::string(across) + ".0");
    replace(one, "shortcut.bn", std::string(across) + ".1");
    replace(one, "classifier", last);
    all.push_back(one);
  }
  return all;
}

/// The vector of a layout; slots of the last layer may be absent or of other classes, which
/// `imported` then says.
at::Tensor flat(const Names& names, const nets::Layout& layout, ImportedTeacher& imported) {
  at::Tensor values = at::zeros({layout.size});
  for (const nets::Slot& slot : layout.slots) {
    const auto found = names.one_of(spellings(slot.name));
    const bool last = slot.name.starts_with("classifier");
    if (!found && !last) refuse(names.path, "it lacks '" + spellings(slot.name).front() + "'");
    const at::Tensor value = found ? names.get(*found) : at::Tensor();
    if (found && value.sizes() == at::IntArrayRef(slot.shape)) {
      values.narrow(0, slot.offset, slot.count).copy_(value.reshape(-1));
    } else if (last) {
      imported.whole = false;
      if (found && value.dim() > 0) imported.last_classes = value.size(0);
    } else {
      refuse(names.path, fmt::format("'{}' is of shape [{}], not [{}]", *found,
                                     fmt::join(value.sizes(), ", "), fmt::join(slot.shape, ", ")));
    }
  }
  return values;
}

ImportedTeacher from_table(const Table& table, const std::filesystem::path& path,
                           const TeacherImport& about) {
  const auto prefix = prefix_of(table);
  if (!prefix)
    refuse(path.string(), fmt::format("none of its {} tensors is the stem of one", table.size()));
  const Names names{table, *prefix, path.string()};
  ImportedTeacher imported;
  imported.prefix = *prefix;
  Teacher& teacher = imported.teacher;
  teacher.network = specification_of(names);
  teacher.shape = {names.get("conv1.weight").size(1), about.height, about.width,
                   std::ssize(about.class_names)};
  const auto network = teacher.build();
  teacher.theta = flat(names, network->parameters(), imported);
  teacher.state = flat(names, network->state(), imported);
  teacher.preprocessing = about.preprocessing;
  teacher.class_names = about.class_names;
  teacher.data_name = about.data_name;
  teacher.objective = about.objective;
  teacher.origin = path.filename().string();
  teacher.validation_accuracy = std::numeric_limits<double>::quiet_NaN();
  return imported;
}

}  // namespace

TeacherImport of_imagenet(int64_t side) {
  TeacherImport about;
  const auto classes = std::ssize(data::imagenet_wnids());
  for (int64_t i = 0; i < classes; ++i) about.class_names.push_back(data::imagenet_name(i));
  const data::Normalisation used = data::imagenet_normalisation();
  about.preprocessing = data::Preprocessing::mean_std(used.mean, used.deviation);
  about.height = about.width = side;
  about.data_name = "imagenet";
  return about;
}

TeacherImport of_data(const data::Dataset& data) {
  return {data.class_names, data.preprocessing, data.height, data.width, data.name};
}

ImportedTeacher import_teacher(const std::filesystem::path& path, const TeacherImport& about) {
  Table table;
  if (path.extension() == ".safetensors") {
    const TensorFile file = load_tensors(path);
    for (const auto& [name, tensor] : file.tensors)
      table[name] = [tensor = tensor] { return tensor; };
    return from_table(table, path, about);
  }
  const TorchFile file(path);
  collect(file, file.root(), "", 0, table);
  return from_table(table, path, about);
}

void probe_teacher(Teacher& teacher, const data::Dataset& data, int64_t epochs, at::Device device) {
  const auto network = teacher.build();
  const at::Tensor state = teacher.state.to(device);
  at::Tensor theta = teacher.theta.to(device);
  if (epochs > 0) {
    std::vector<int64_t> rows(to_size(data.train.size()));
    std::iota(rows.begin(), rows.end(), 0);
    ProbeOptions options;
    options.epochs = epochs;
    theta = probed(*network, theta, state, data, rows, options, device);
  }
  teacher.validation_accuracy =
      train::accuracy(*network, {theta, state}, data.test, data.preprocessing, device);
  teacher.theta = theta.to(at::kCPU);
}

}  // namespace retort::teachers
