"""Tables only, one file per family."""

from flowserver.models.accounts import (
    Access,
    Agency,
    AgencyKey,
    AgencyKeyUse,
    Alert,
    ApiKey,
    Connection,
    Invitation,
    User,
    Workspace,
)
from flowserver.models.api import Idempotency
from flowserver.models.campaigns import Campaign
from flowserver.models.coupons import Coupon, CouponCampaign, CouponRedemption
from flowserver.models.flows import Decision, Enrollment, Event, Flow, FlowEdit, FlowMove, FlowVersion
from flowserver.models.loyalty import Card, CardReward, Movement, Programme, Reward
from flowserver.models.messages import Engagement, Lease, Message, RateWindow, Worker
from flowserver.models.people import (
    Consent,
    Contact,
    ContactList,
    ContactTag,
    Field,
    Form,
    Import,
    Membership,
    ScoreEntry,
    Signup,
    Suppression,
    Tag,
)
from flowserver.models.scores import ScoreRule
from flowserver.models.segments import Segment
from flowserver.models.shop import Cart, Purchase
from flowserver.models.site import Conversion, ConversionRule, Monitor, PageView, Visit, Visitor
from flowserver.models.starts import FlowStart, FlowStartContact

__all__ = [
    "Access",
    "Agency",
    "AgencyKey",
    "AgencyKeyUse",
    "Alert",
    "ApiKey",
    "Campaign",
    "Card",
    "CardReward",
    "Cart",
    "Connection",
    "Consent",
    "Contact",
    "ContactList",
    "ContactTag",
    "Conversion",
    "ConversionRule",
    "Coupon",
    "CouponCampaign",
    "CouponRedemption",
    "Decision",
    "Engagement",
    "Enrollment",
    "Event",
    "Field",
    "Flow",
    "FlowEdit",
    "FlowMove",
    "FlowStart",
    "FlowStartContact",
    "FlowVersion",
    "Form",
    "Idempotency",
    "Import",
    "Invitation",
    "Lease",
    "Membership",
    "Message",
    "Monitor",
    "Movement",
    "PageView",
    "Programme",
    "Purchase",
    "RateWindow",
    "Reward",
    "ScoreEntry",
    "ScoreRule",
    "Segment",
    "Signup",
    "Suppression",
    "Tag",
    "User",
    "Visit",
    "Visitor",
    "Worker",
    "Workspace",
]
