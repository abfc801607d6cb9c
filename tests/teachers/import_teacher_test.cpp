// Published state dictionaries as teachers.
#include "teachers/import_teacher.h"

#include <gtest/gtest.h>

#include "io/torch_file.h"
#include "methods/toy.h"
#include "retort/core/error.h"
#include "retort/io/tensor_file.h"
#include "support/support.h"

namespace retort::teachers {
namespace {

using retort::tests::expect_error;
using retort::tests::TempFolder;

/// The state dictionary of a network of ours, in torchvision's names.
std::vector<std::pair<std::string, TorchValue>> published(const nets::Network& network,
                                                          const at::Tensor& theta,
                                                          const at::Tensor& state,
                                                          const std::string& prefix) {
  std::vector<std::pair<std::string, TorchValue>> entries;
  const auto put = [&](const nets::Layout& layout, const at::Tensor& values) {
    for (const nets::Slot& slot : layout.slots) {
      std::string name = slot.name;
      const auto swap = [&](const std::string& from, const std::string& to) {
        const size_t at = name.find(from);
        if (at != std::string::npos) name.replace(at, from.size(), to);
      };
      swap("stem.conv", "conv1");
      swap("stem.norm", "bn1");
      swap("stage", "layer");
      swap("block1", "0");
      swap("block2", "1");
      swap("shortcut.conv", "downsample.0");
      swap("shortcut.norm", "downsample.1");
      swap(".norm", ".bn");
      swap("classifier", "fc");
      entries.emplace_back(prefix + name,
                           values.narrow(0, slot.offset, slot.count).view(slot.shape));
    }
  };
  put(network.parameters(), theta);
  put(network.state(), state);
  entries.emplace_back(prefix + "bn1.num_batches_tracked", at::scalar_tensor(7, at::kLong));
  return entries;
}

struct Made {
  data::Dataset data = retort::tests::toy_dataset();
  std::unique_ptr<nets::Network> network =
      nets::make_network("resnet18-bn-w4", {3, 8, 8, data.classes()});
  at::Tensor theta = network->initial(RandomStream(0, "test.import"));
  at::Tensor state = network->initial_state() + 0.5;
};

TEST(ImportTeacher, TakesTorchvisionsNamesFromPthAndSafetensors) {
  const Made made;
  const TempFolder folder;
  const auto entries = published(*made.network, made.theta, made.state, "");
  save_torch_file(folder / "a.pth", entries);
  TensorMap tensors;
  for (const auto& [name, value] : entries) tensors[name] = std::get<at::Tensor>(value);
  save_tensors(folder / "a.safetensors", tensors, {});
  for (const char* name : {"a.pth", "a.safetensors"}) {
    const ImportedTeacher found = import_teacher(folder / name, of_data(made.data));
    EXPECT_TRUE(found.whole);
    EXPECT_EQ(found.teacher.network, "resnet18-bn-w4");
    EXPECT_TRUE(at::equal(found.teacher.theta, made.theta));
    EXPECT_TRUE(at::equal(found.teacher.state, made.state));
    EXPECT_EQ(found.teacher.origin, name);
  }
}

TEST(ImportTeacher, TakesTheQuerysEncoderAndProbesIt) {
  const Made made;
  const TempFolder folder;
  auto entries =
      published(*made.network, at::zeros_like(made.theta), made.state, "module.encoder_k.");
  for (auto& entry : published(*made.network, made.theta, made.state, "module.encoder_q."))
    if (entry.first.find(".fc.") == std::string::npos) entries.push_back(entry);
  // A projector in place of the last layer, as MoCo v2 has.
  entries.emplace_back("module.encoder_q.fc.0.weight", at::ones({32, 32}));
  save_torch_file(folder / "moco.pth", entries);
  ImportedTeacher found = import_teacher(folder / "moco.pth", of_data(made.data));
  EXPECT_EQ(found.prefix, "module.encoder_q.");
  EXPECT_FALSE(found.whole);
  const int64_t backbone = made.network->parameters().find("classifier.weight").offset;
  EXPECT_TRUE(
      at::equal(found.teacher.theta.narrow(0, 0, backbone), made.theta.narrow(0, 0, backbone)));
  probe_teacher(found.teacher, made.data, 3, at::kCPU);
  EXPECT_TRUE(
      at::equal(found.teacher.theta.narrow(0, 0, backbone), made.theta.narrow(0, 0, backbone)));
  EXPECT_GT(found.teacher.validation_accuracy, 0.3);
}

TEST(ImportTeacher, RefusesWhatIsNoResnet) {
  const Made made;
  const TempFolder folder;
  save_torch_file(folder / "other.pth", {{"weight", at::ones({3})}});
  expect_error<DataError>([&] { import_teacher(folder / "other.pth", of_data(made.data)); },
                          {"other.pth", "none of its 1 tensors", "layer1.0.conv1.weight"});
  auto entries = published(*made.network, made.theta, made.state, "");
  std::erase_if(entries, [](const auto& entry) { return entry.first == "layer3.0.bn2.bias"; });
  save_torch_file(folder / "short.pth", entries);
  expect_error<DataError>([&] { import_teacher(folder / "short.pth", of_data(made.data)); },
                          {"layer3.0.bn2.bias"});
}

// BatchNorm takes the root of a running variance: one below 0 gives NaN for every image.
TEST(ImportTeacher, RefusesAVarianceBelowZero) {
  const Made made;
  const TempFolder folder;
  auto entries = published(*made.network, made.theta, made.state, "module.");
  for (auto& [name, value] : entries)
    if (name == "module.layer2.0.bn1.running_var")
      value = std::get<at::Tensor>(value).clone().index_fill_(0, at::tensor({1}, at::kLong), -1e-3);
  save_torch_file(folder / "below.pth", entries);
  expect_error<DataError>(
      [&] { import_teacher(folder / "below.pth", of_data(made.data)); },
      {"below.pth", "'module.layer2.0.bn1.running_var' holds a variance below 0", "ResNet18"});
}

TEST(OfImagenet, HasTheThousandClasses) {
  const TeacherImport about = of_imagenet(224);
  EXPECT_EQ(about.class_names.size(), 1000u);
  EXPECT_EQ(about.preprocessing.kind(), "mean_std");
}

}  // namespace
}  // namespace retort::teachers
