// A program that embeds retort: trains a student on a bundle (or, without one, on ten random images
// per class) of the built-in set and prints the share of test images that it gets right.
//     embed [distilled.safetensors]
#include <exception>
#include <iostream>

#include "retort/core/device.h"
#include "retort/data/class_sampler.h"
#include "retort/data/dataset.h"
#include "retort/nets/network.h"
#include "retort/synthetic/bundle.h"
#include "retort/train/trainer.h"

namespace {

std::unique_ptr<retort::data::BatchSource> random_source(const retort::data::Dataset& shapes) {
  std::vector<int64_t> rows;
  for (size_t c = 0; c < shapes.train.rows_by_class.size(); ++c) {
    retort::RandomStream stream(0, "embed", c);
    for (int64_t row : retort::data::draw_rows(shapes.train, stream, static_cast<int64_t>(c), 10))
      rows.push_back(row);
  }
  return retort::data::real_source(shapes.train, shapes.preprocessing, at::kCPU, rows);
}

void run(int argc, char** argv) {
  retort::use_threads(0);
  const auto shapes = retort::data::prepare_dataset(retort::data::make_shapes(0.1), {});
  const auto network = retort::nets::make_network(
      "convnet-w16", {shapes.channels, shapes.height, shapes.width, shapes.classes()});
  const auto source =
      argc > 1 ? retort::synthetic::bundle_source(retort::synthetic::load_bundle(argv[1]), at::kCPU)
               : random_source(shapes);
  retort::train::TrainOptions options;
  options.epochs = 40;
  const auto student = retort::train::train(*network, *source, options, {}, at::kCPU);
  const double share =
      retort::train::accuracy(*network, student, shapes.test, shapes.preprocessing, at::kCPU);
  std::cout << "trained on " << source->size() << " images, accuracy " << 100 * share << " %\n";
}

}  // namespace

int main(int argc, char** argv) {
  try {
    run(argc, argv);
  } catch (const std::exception& error) {  // retort::Error says what to do, in words
    std::cerr << error.what() << '\n';
    return 1;
  }
}
