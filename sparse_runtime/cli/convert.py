"""sparse-runtime convert"""

from ..errors import ArgumentError
from ..table import progress_bar
from . import common

NAME = "convert"
HELP = "Convert an ONNX or Paddle model to a .spr file and tell what was done."


def add_arguments(parser):
    common.add_model(parser, "an .onnx file, a Paddle model (.pdmodel, .json) or zoo:NAME")
    parser.add_argument("-o", "--output", required=True, metavar="FILE.spr", help="the file to write")
    parser.add_argument(
        "--sparse",
        choices=common.SPARSE,
        default="auto",
        help="which layers are stored sparse, and what sessions do by default: those sparse enough, with the "
        "fastest kernel of each CPU; the same with sparse kernels always; none (auto)",
    )
    parser.add_argument(
        "--sparse-threshold",
        type=common.ratio,
        default=0.5,
        metavar="SHARE",
        help="share of zeros from which a layer counts as sparse (0.5)",
    )
    common.add_prune(parser)
    common.add_block(parser)
    common.add_input_shape(parser)
    parser.add_argument("--int8", action="store_true", help="quantize layers to 8 bits; needs --calibration")
    parser.add_argument(
        "--calibration",
        metavar="FILE.npz|FOLDER",
        help="inputs like those that the model will see: an array per input, the samples along its first axis",
    )
    parser.add_argument(
        "--calibration-method",
        metavar="minmax|percentile|entropy|mse",
        default="percentile",
        help="how the ranges of tensors are chosen (percentile)",
    )
    parser.add_argument(
        "--int8-skip",
        metavar="NAME",
        nargs="+",
        action="extend",
        default=[],
        help="layers to keep in FP32: names or patterns of nodes or of their results",
    )
    parser.add_argument(
        "--int8-min-sqnr",
        metavar="DB",
        type=float,
        default=10.0,
        help="signal to noise to be left at the end: the worst layers stay in FP32 until it is (10)",
    )


def run(args):
    if not args.int8 and (args.calibration or args.int8_skip):
        raise ArgumentError("--calibration and --int8-skip are about --int8, which is not given")
    with progress_bar() as progress:
        report = _convert(args, progress)
    print(report)


def _convert(args, progress):
    return common.convert(
        args.model,
        args.output,
        sparse=args.sparse,
        sparse_threshold=args.sparse_threshold,
        prune=args.prune,
        block=args.block,
        input_shapes=dict(args.input_shape),
        int8=args.int8,
        calibration=args.calibration,
        calibration_method=args.calibration_method,
        int8_skip=args.int8_skip,
        int8_min_sqnr=args.int8_min_sqnr,
        progress=progress,
    )
