from .api.label_levels import VertebralLevels as VertebralLevels
from .api.label_levels import label_levels as label_levels
from .api.load import Scan as Scan
from .api.load import example as example
from .api.load import load as load
from .api.measure import measure as measure
from .api.register import Registration as Registration
from .api.register import register as register
from .api.segment import Segmentation as Segmentation
from .api.segment import segment as segment
from .api.straighten import straighten as straighten
from .api.volume import Volume as Volume
from .cord.centerline import Centerline as Centerline
from .errors import EmptyMaskError as EmptyMaskError
from .errors import InputError as InputError
from .errors import ModelError as ModelError
from .errors import NoCordError as NoCordError
from .errors import SpinalprepError as SpinalprepError
from .errors import TemplateError as TemplateError
from .errors import UsageError as UsageError
from .lesion.calling import LesionRule as LesionRule

RELEASE: str
__version__: str
