"""sparse-runtime convert"""

from . import common

NAME = "convert"
HELP = "Convert an ONNX model to a .spr file and tell what was done."


def add_arguments(parser):
    common.add_model(parser, "an .onnx file or zoo:NAME")
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


def run(args):
    report = common.convert(
        args.model,
        args.output,
        sparse=args.sparse,
        sparse_threshold=args.sparse_threshold,
        prune=args.prune,
        block=args.block,
        input_shapes=dict(args.input_shape),
    )
    print(report)
