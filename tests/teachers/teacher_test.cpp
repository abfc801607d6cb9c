// The teacher file and its checks.
#include "retort/teachers/teacher.h"

#include <gtest/gtest.h>

#include "retort/core/error.h"
#include "retort/io/tensor_file.h"
#include "trajectories/small_experts.h"

namespace retort::teachers {
namespace {

Teacher small_teacher(const data::Dataset& data, const std::string& network = "convnet-w4-d2-bn") {
  Teacher teacher;
  teacher.network = network;
  teacher.shape = {data.channels, data.height, data.width, data.classes()};
  const auto built = teacher.build();
  teacher.theta = built->initial(RandomStream(1, "test.teacher"));
  if (built->state().size > 0)
    teacher.state = built->initial_state() + at::arange(built->state().size) / 10;
  teacher.preprocessing = data.preprocessing;
  teacher.class_names = data.class_names;
  teacher.data_name = data.name;
  teacher.data_hash = data.hash;
  teacher.epochs = 3;
  teacher.validation_accuracy = 0.625;
  teacher.recipe = "epochs = 3\n";
  return teacher;
}

TEST(Teacher, ComesBackFromItsFileAsItWas) {
  const retort::tests::TempFolder folder;
  const Teacher teacher = small_teacher(tests::small_data());
  write_teacher(folder / "a.safetensors", teacher);
  const Teacher read = read_teacher(folder / "a.safetensors");
  EXPECT_TRUE(at::equal(read.theta, teacher.theta));
  EXPECT_TRUE(at::equal(read.state, teacher.state));
  EXPECT_EQ(read.class_names, teacher.class_names);
  EXPECT_EQ(read.preprocessing.mean(), teacher.preprocessing.mean());
  EXPECT_EQ(read.epochs, 3);
  EXPECT_EQ(read.validation_accuracy, 0.625);
  write_teacher(folder / "b.safetensors", read);
  EXPECT_EQ(retort::tests::read_text(folder / "a.safetensors"),
            retort::tests::read_text(folder / "b.safetensors"));
}

TEST(Teacher, OfANetworkWithoutStatisticsHasNone) {
  const retort::tests::TempFolder folder;
  write_teacher(folder / "a.safetensors", small_teacher(tests::small_data(), "convnet-w4-d1"));
  EXPECT_FALSE(read_teacher(folder / "a.safetensors").state.defined());
}

TEST(Teacher, IsRefusedWhereATensorIsMissingOrNotFinite) {
  const retort::tests::TempFolder folder;
  Teacher teacher = small_teacher(tests::small_data());
  write_teacher(folder / "a.safetensors", teacher);
  TensorFile file = load_tensors(folder / "a.safetensors");
  file.tensors.erase("block2.norm.running_var");
  save_tensors(folder / "b.safetensors", file.tensors, file.metadata);
  retort::tests::expect_error<DataError>([&] { read_teacher(folder / "b.safetensors"); },
                                         {"b.safetensors", "block2.norm.running_var"});
  teacher.state[0] = NAN;
  retort::tests::expect_error<StateError>([&] { write_teacher(folder / "c.safetensors", teacher); },
                                          {"block1.norm.running_mean", "not finite"});
  EXPECT_FALSE(std::filesystem::exists(folder / "c.safetensors"));
}

TEST(Teacher, IsRefusedForOtherClassesShapesNormalisationOrData) {
  const data::Dataset data = tests::small_data();
  const Teacher teacher = small_teacher(data);
  check_teacher(teacher, "testing", data);
  data::Dataset other = data;
  std::swap(other.class_names[0], other.class_names[1]);
  retort::tests::expect_error<StateError>(
      [&] { check_teacher(teacher, "testing", other); },
      {"testing", "class 0 is 'a'", "class 0 is 'b'", "--classes"});
  other = data;
  other.height = 16;
  retort::tests::expect_error<StateError>([&] { check_teacher(teacher, "testing", other); },
                                          {"1x8x8", "1x16x8"});
  other = data;
  other.preprocessing = data::Preprocessing::mean_std({0.25}, {0.5});
  retort::tests::expect_error<StateError>([&] { check_teacher(teacher, "testing", other); },
                                          {"trained with mean", "0.2500", "--normalisation"});
  other = data;
  other.hash = "0123456789abcdef";
  retort::tests::expect_error<StateError>([&] { check_teacher(teacher, "testing", other); },
                                          {"0123456789abcdef"});
}

TEST(NormLayers, StandInTheOrderInWhichTheyRunWithTheirConvolutions) {
  const auto network = nets::make_network("resnet18-bn", {3, 32, 32, 10});
  const std::vector<NormLayer> layers = norm_layers(*network);
  ASSERT_EQ(layers.size(), 20u);
  EXPECT_EQ(layers[0].name, "stem.norm");
  EXPECT_EQ(layers[0].conv, "stem.conv");
  EXPECT_EQ(layers[6].name, "stage2.block1.norm2");
  EXPECT_EQ(layers[7].name, "stage2.block1.shortcut.norm");
  EXPECT_EQ(layers[7].conv, "stage2.block1.shortcut.conv");
  EXPECT_EQ(layers[7].channels, 128);
  const at::Tensor state = network->initial_state();
  EXPECT_EQ(state.narrow(0, layers[7].mean, 128).abs().sum().item<float>(), 0);
  EXPECT_EQ(state.narrow(0, layers[7].variance, 128).sum().item<float>(), 128);
}

}  // namespace
}  // namespace retort::teachers
